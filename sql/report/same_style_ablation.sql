-- same_style_ablation: one row per trial of the ablation and pair of views: means over seeds.
-- Source: same_style_ablation.
-- Parameters: $dataset.
SELECT setting, value, label, view_pair, avg(mrr) AS mrr, avg(r1) AS r1, count(DISTINCT seed) AS seeds
FROM same_style_ablation
WHERE dataset = $dataset
GROUP BY setting, value, label, view_pair
ORDER BY setting, label, value, view_pair
