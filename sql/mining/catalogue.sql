-- catalogue: one row per product of a dataset, numbered in the order of ids: numbers join many times faster than texts.
-- Source: products.
-- Parameters: $category (category | subcategory | department | none).
-- number: number of the product, from 1
-- is_training: whether it is of the training split
-- category: what a pair must share; empty where it is not known
SELECT
    row_number() OVER (ORDER BY product_id)::INTEGER AS number,
    product_id,
    split = 'train' AS is_training,
    nullif(CASE $category
        WHEN 'category' THEN category
        WHEN 'subcategory' THEN subcategory
        WHEN 'department' THEN department
        WHEN 'none' THEN 'any'
    END, '') AS category
FROM products
