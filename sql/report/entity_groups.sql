-- entity_groups: one row per entity group of a dataset.
-- Source: entity_vocabulary.
-- Parameters: $dataset.
SELECT DISTINCT entity_group
FROM entity_vocabulary
WHERE dataset = $dataset
ORDER BY entity_group
