-- cross_modal_figures: one row per variant and measure under a protocol: cross-encoders, and rows on the same queries.
-- Source: cross_modal_intervals.
-- Parameters: $dataset, $protocol.
SELECT
    variant, direction, measure, value, low, high, queries, products,
    if(direction = 'both', measure, direction || '_' || measure) AS figure
FROM cross_modal_intervals
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY variant, direction, measure
