-- metric_intervals: one row per variant, direction and measure under a protocol: its 95 % interval.
-- Source: metric_intervals.
-- Parameters: $dataset, $protocol.
SELECT
    variant, direction, measure, value, low, high,
    if(direction = 'both', measure, direction || '_' || measure) AS figure
FROM metric_intervals
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY variant, direction, measure
