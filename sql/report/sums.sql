-- sums: one row per variant and protocol: SumR.
-- Source: leaderboard.
-- Parameters: $dataset.
SELECT paper_row, variant, protocol, sum_r
FROM leaderboard
WHERE dataset = $dataset
ORDER BY paper_row NULLS LAST, variant, protocol
