-- recalls: one row per variant and direction under a protocol: its recalls, for the plot.
-- Source: retrieval_metrics.
-- Parameters: $dataset, $protocol.
SELECT variant, direction, r1, r5, r10
FROM retrieval_metrics
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY variant, direction
