-- splits: one row per split: products and photos.
-- Source: products.
-- Parameters: $dataset.
SELECT split, count(*) AS products, sum(image_count) AS images
FROM products
WHERE dataset = $dataset
GROUP BY split
ORDER BY list_position(['train', 'validation', 'test'], split)
