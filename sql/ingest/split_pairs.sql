-- split_pairs: one row per pair of products that must be in the same split: known duplicates, and products of one true
--   style.
-- Of a style each product is paired with the smallest id: what counts is which products hang together.
-- Source: listings, duplicate_photos.
-- Parameters: $dataset.
WITH styled AS (
    SELECT DISTINCT style, product_id
    FROM listings
    WHERE style IS NOT NULL
),
of_style AS (
    SELECT product_id, min(product_id) OVER (PARTITION BY style) AS other_id
    FROM styled
)
SELECT $dataset AS dataset, product_id, other_id
FROM of_style
WHERE product_id <> other_id
UNION
SELECT $dataset, product_id, other_id
FROM duplicate_photos
ORDER BY product_id, other_id
