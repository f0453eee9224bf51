-- group_gates: one row per entity group with gates: their spread, and what the group is worth.
-- Source: gate_report.
-- Parameters: $dataset, $variant.
SELECT *
FROM gate_report
WHERE dataset = $dataset AND variant = $variant AND mean_weight IS NOT NULL
ORDER BY mean_weight DESC, entity_group
