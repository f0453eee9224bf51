-- id_conflicts: one row per combination of what the raw rows of a product id differ in.
-- Source: conflicting_ids.
-- Parameters: $dataset, $shown (ids).
SELECT
    array_to_string(differs, ', ') AS what,
    count(*) AS ids,
    sum(rows)::BIGINT AS rows,
    list(product_id ORDER BY rows DESC, product_id)[:$shown] AS examples
FROM conflicting_ids
WHERE dataset = $dataset
GROUP BY what
ORDER BY ids DESC, what
