-- same_style_curve: one row per variant, view and threshold: precision and recall of finding pairs of one style.
-- Of one seed: a mean of curves is none.
-- Source: same_style_pr_curve.
-- Parameters: $dataset.
SELECT variant, view, threshold, precision, recall, average_precision
FROM same_style_pr_curve
WHERE dataset = $dataset
QUALIFY seed = min(seed) OVER (PARTITION BY variant, view)
ORDER BY variant, view, recall
