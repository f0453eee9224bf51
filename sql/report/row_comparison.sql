-- row_comparison: one row per measure and direction: one variant against another over all candidates.
-- Source: row_comparisons.
-- Parameters: $dataset, $variant, $baseline.
SELECT
    direction, measure, value, baseline_value, difference, low, high, relative, relative_low, relative_high, p_value,
    queries, products, resamples
FROM row_comparisons
WHERE dataset = $dataset AND protocol = 'full' AND variant = $variant AND baseline = $baseline
    AND ((measure = 'r1' AND direction IN ('i2t', 't2i')) OR measure = 'sum_r')
ORDER BY measure, direction
