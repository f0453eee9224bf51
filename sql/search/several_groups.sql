-- several_groups: one row per entity group of which a training product has several entities.
-- Source: product_entities; of one dataset.
SELECT DISTINCT entity_group
FROM product_entities
WHERE split = 'train' AND ordinal > 1
ORDER BY entity_group
