-- same_style_means: one row per variant and pair of views: means over seeds, for a home without intervals.
-- Source: same_style_metrics.
-- Parameters: $dataset.
SELECT variant, view_pair, avg(mrr) AS mrr, avg(r1) AS r1, avg(r10) AS r10, any_value(queries) AS queries
FROM same_style_metrics
WHERE dataset = $dataset
GROUP BY variant, view_pair
ORDER BY variant, view_pair
