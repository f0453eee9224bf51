-- product_entities: one row per product, entity group and entity of it in the raw data; a missing entity has no row.
-- Source: tagged_entities, entity_vocabulary.
SELECT
    tagged_entities.dataset,
    tagged_entities.product_id,
    tagged_entities.split,
    tagged_entities.entity_group,
    tagged_entities.entity,
    tagged_entities.ordinal,
    coalesce(entity_vocabulary.entity_id, 0) AS entity_id
FROM tagged_entities
LEFT JOIN entity_vocabulary USING (dataset, entity_group, entity)
ORDER BY tagged_entities.product_id, tagged_entities.entity_group, tagged_entities.ordinal
