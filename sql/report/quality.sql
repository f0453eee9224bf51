-- quality: one row per variant under a protocol: MRR and nDCG@10 in both directions.
-- Source: leaderboard.
-- Parameters: $dataset, $protocol.
SELECT paper_row, variant, i2t_mrr, i2t_ndcg10, t2i_mrr, t2i_ndcg10
FROM leaderboard
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY paper_row NULLS LAST, variant
