-- intervention_swaps: one row per variant and entity group: shares of the ten best photos before and after a swap.
-- Source: intervention_summary.
-- Parameters: $dataset.
SELECT variant, entity_group, share_before, share_after, replacement_share_before, replacement_share_after
FROM intervention_summary
WHERE dataset = $dataset AND intervention = 'swapped'
ORDER BY variant, entity_group
