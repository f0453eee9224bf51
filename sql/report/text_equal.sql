-- text_equal: one row per variant under a protocol: recalls, strict and with identical descriptions as relevant.
-- Source: leaderboard, retrieval_metrics.
-- Parameters: $dataset, $protocol.
SELECT
    paper_row, variant, i2t_r1, t2i_r1, sum_r,
    max(text_equal_r1) FILTER (WHERE direction = 'i2t') AS i2t_equal,
    max(text_equal_r1) FILTER (WHERE direction = 't2i') AS t2i_equal,
    sum(text_equal_r1 + text_equal_r5 + text_equal_r10) AS sum_equal
FROM leaderboard
JOIN retrieval_metrics USING (dataset, protocol, variant)
WHERE dataset = $dataset AND protocol = $protocol
GROUP BY paper_row, variant, i2t_r1, t2i_r1, sum_r
ORDER BY paper_row NULLS LAST, variant
