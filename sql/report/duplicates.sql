-- duplicates: one row: known duplicates and what became of them; none where none are known.
-- Source: product_groups, products.
-- Parameters: $dataset.
SELECT
    count(DISTINCT group_id) AS groups,
    count(*) AS members,
    count(*) FILTER (WHERE split = 'test') AS tested,
    count(*) FILTER (WHERE split = 'excluded') AS excluded
FROM product_groups
JOIN products USING (dataset, product_id)
WHERE dataset = $dataset
HAVING count(*) > 0
