-- gates: one row per entity with a gate: its weight, and its support in training.
-- Source: gate_weights, entity_vocabulary.
-- Parameters: $dataset, $variant.
SELECT entity_group, entity, weight, coalesce(entity_vocabulary.product_count, 0) AS product_count
FROM gate_weights
LEFT JOIN entity_vocabulary USING (dataset, entity_group, entity)
WHERE dataset = $dataset AND variant = $variant
ORDER BY entity_group, entity
