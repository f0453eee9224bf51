-- no_product_in_two_splits: one row per product with more than one split, per product of the raw files' test part
--   outside the test split, and per group of known duplicates that straddles two splits (excluded is none).
SELECT products.product_id AS offender, list(DISTINCT products.split) AS splits
FROM products
JOIN records USING (product_id)
GROUP BY products.product_id
HAVING count(DISTINCT products.split) > 1 OR bool_or(records.source_split = 'test' AND products.split <> 'test')
UNION ALL
SELECT split_groups.group_id, list(DISTINCT products.split)
FROM split_groups
JOIN products USING (product_id)
WHERE products.split <> 'excluded'
GROUP BY split_groups.group_id
HAVING count(DISTINCT products.split) > 1
ORDER BY offender
