-- same_style_intervals: one row per variant, pair of views and measure: its 95 % interval.
-- Where a variant was trained with several seeds: of its mean over them (seed NULL).
-- Source: same_style_intervals.
-- Parameters: $dataset.
SELECT variant, view_pair, measure, seed, seeds, value, low, high, queries, styles
FROM same_style_intervals
WHERE dataset = $dataset
QUALIFY row_number() OVER (PARTITION BY variant, view_pair, measure ORDER BY seed NULLS FIRST) = 1
ORDER BY variant, view_pair, measure
