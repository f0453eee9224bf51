-- entity_profile: one row per entity group: coverage and vocabulary beside the paper's.
-- Source: profile_entities.
-- Parameters: $dataset.
SELECT entity_group, tagged_products, coverage, entities, distinct_entities, unseen_in_test, paper_entities
FROM profile_entities
WHERE dataset = $dataset
ORDER BY entity_group
