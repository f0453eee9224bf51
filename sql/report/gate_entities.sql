-- gate_entities: one row per entity: the most common ones of each group, with their gates.
-- Source: gate_weights, entity_vocabulary.
-- Parameters: $dataset, $variant, $shown.
SELECT entity_group, entity, entity_vocabulary.product_count, weight
FROM gate_weights
JOIN entity_vocabulary USING (dataset, entity_group, entity)
WHERE dataset = $dataset AND variant = $variant AND product_count > 0
QUALIFY row_number() OVER (PARTITION BY entity_group ORDER BY product_count DESC, entity) <= $shown
ORDER BY entity_group, product_count DESC, entity
