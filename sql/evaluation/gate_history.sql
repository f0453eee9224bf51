-- gate_history: one row per variant with gates, entity group and logged training step.
-- Source: training_log.
-- mean_weight: mean gate of the batch's products with an entity of the group
SELECT dataset, variant, gate.key AS entity_group, step, epoch, gate.value::DOUBLE AS mean_weight
FROM (SELECT dataset, variant, step, epoch, unnest(map_entries(gates)) AS gate FROM training_log)
ORDER BY dataset, variant, entity_group, step
