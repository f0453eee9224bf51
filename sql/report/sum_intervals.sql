-- sum_intervals: one row per variant and protocol: the 95 % interval of SumR.
-- Source: metric_intervals.
-- Parameters: $dataset.
SELECT variant, protocol, low, high
FROM metric_intervals
WHERE dataset = $dataset AND measure = 'sum_r'
ORDER BY variant, protocol
