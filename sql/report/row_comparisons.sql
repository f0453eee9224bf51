-- row_comparisons: one row per pair of variants, direction and measure (R@1, SumR): the difference over all candidates.
-- Source: row_comparisons.
-- Parameters: $dataset.
SELECT variant, baseline, direction, measure, difference, low, high, p_value, products
FROM row_comparisons
WHERE dataset = $dataset AND protocol = 'full' AND (measure = 'r1' OR measure = 'sum_r')
