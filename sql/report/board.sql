-- board: one row per variant under a protocol: its recalls, for the leaderboard.
-- Source: leaderboard.
-- Parameters: $dataset, $protocol.
SELECT paper_row, variant, i2t_r1, i2t_r5, i2t_r10, t2i_r1, t2i_r5, t2i_r10, sum_r
FROM leaderboard
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY paper_row NULLS LAST, variant
