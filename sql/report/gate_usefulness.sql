-- gate_usefulness: one row per dataset and entity group: mean gate, and recall@1 lost without the group.
-- Source: gate_report.
-- Parameters: $variant.
SELECT dataset, entity_group, mean_weight, r1_lost_removed, r1_lost_shuffled
FROM gate_report
WHERE variant = $variant AND mean_weight IS NOT NULL AND r1_lost_removed IS NOT NULL
ORDER BY r1_lost_shuffled, dataset, entity_group
