-- average_precisions: one row per variant and view: average precision of finding pairs of one style in
--   percent, mean over seeds.
-- Source: same_style_pr_curve.
-- Parameters: $dataset.
SELECT variant, view, 100 * avg(average_precision) AS average_precision
FROM (SELECT DISTINCT variant, view, seed, average_precision FROM same_style_pr_curve WHERE dataset = $dataset)
GROUP BY variant, view
ORDER BY variant, view
