-- cross_modal_differences: one row per pair of variants, direction and measure (R@1, SumR) under a protocol.
-- Source: cross_modal_comparisons.
-- Parameters: $dataset, $protocol.
SELECT variant, baseline, direction, measure, value, baseline_value, difference, low, high, p_value, products
FROM cross_modal_comparisons
WHERE dataset = $dataset AND protocol = $protocol AND measure IN ('r1', 'sum_r')
ORDER BY variant, baseline, direction
