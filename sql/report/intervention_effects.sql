-- intervention_effects: one row per intervention and entity group of a variant.
-- Source: intervention_summary.
-- Parameters: $dataset, $variant.
SELECT *
FROM intervention_summary
WHERE dataset = $dataset AND variant = $variant
ORDER BY list_position(['removed', 'swapped', 'as_text'], intervention), mean_log2_rank_change DESC, entity_group
