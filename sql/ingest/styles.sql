-- styles: one row per product whose true style the raw files name.
-- It is the ground truth of same-style retrieval, and never a training signal.
-- Source: listings, products. Of several rows of a product the first that names a style counts.
WITH named AS (
    SELECT product_id, min_by(style, row(source, place)) AS style_id
    FROM listings
    WHERE style IS NOT NULL
    GROUP BY product_id
)
SELECT products.dataset, product_id, products.split, named.style_id
FROM named
JOIN products USING (product_id)
ORDER BY product_id
