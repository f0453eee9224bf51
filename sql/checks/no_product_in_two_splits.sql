-- Offenders: products with more than one split, or of the raw files' test part outside the test split.
SELECT product_id, list(DISTINCT products.split) AS splits
FROM products
JOIN catalog USING (dataset, product_id)
GROUP BY product_id
HAVING count(DISTINCT products.split) > 1 OR bool_or(catalog.source_split = 'test' AND products.split <> 'test')
ORDER BY product_id
