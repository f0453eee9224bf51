-- ablation_results: one row per trial of an ablation.
-- In the order of the plan, in which each file was written.
-- Source: ablation_results.
-- Parameters: $dataset, $ablation.
SELECT *
FROM ablation_results
WHERE dataset = $dataset AND ablation = $ablation
