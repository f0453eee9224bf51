-- profile_splits: one row per split that holds products.
-- Source: products, images.
-- images: number of photos
-- share: share of all products
WITH photos AS (
    SELECT dataset, product_id, count(*) AS images
    FROM images
    GROUP BY dataset, product_id
)
SELECT
    products.dataset,
    products.split,
    count(*) AS products,
    coalesce(sum(photos.images), 0)::BIGINT AS images,
    count(*) / sum(count(*)) OVER (PARTITION BY products.dataset) AS share
FROM products
LEFT JOIN photos USING (dataset, product_id)
GROUP BY products.dataset, products.split
ORDER BY products.dataset, list_position(['train', 'validation', 'test', 'excluded'], products.split)
