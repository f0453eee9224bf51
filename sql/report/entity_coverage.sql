-- entity_coverage: one row per entity group: entities, tagged products, and test products none of whose entities has an
--   embedding.
-- Source: entity_vocabulary, product_entities.
-- Parameters: $dataset.
SELECT entity_group, entities, coalesce(tagged, 0) AS tagged, coalesce(unseen, 0) AS unseen
FROM (
    SELECT entity_group, count(*) - 1 AS entities
    FROM entity_vocabulary
    WHERE dataset = $dataset
    GROUP BY entity_group
)
LEFT JOIN (
    SELECT
        entity_group,
        count(DISTINCT product_id) AS tagged,
        count(DISTINCT product_id) FILTER (WHERE split = 'test')
            - count(DISTINCT product_id) FILTER (WHERE split = 'test' AND entity_id > 0) AS unseen
    FROM product_entities
    WHERE dataset = $dataset
    GROUP BY entity_group
) USING (entity_group)
ORDER BY entity_group
