-- shuffles: one row per entity group and direction: recall@1 with the group's entities permuted.
-- Source: entity_shuffles.
-- Parameters: $dataset, $variant.
SELECT entity_group, direction, r1, r1_shuffled, r1_lost
FROM entity_shuffles
WHERE dataset = $dataset AND variant = $variant
ORDER BY entity_group, direction
