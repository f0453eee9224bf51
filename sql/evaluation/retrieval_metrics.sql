-- retrieval_metrics: one row per variant, protocol and direction, over the test split.
-- Columns: dataset, variant, protocol (see `protocols`), direction (i2t | t2i), r1, r5, r10 (recall), mrr (mean of 1 / rank),
--   ndcg10, text_equal_r1, text_equal_r5, text_equal_r10 (recall with products of an identical description counted as
--   right); all in percent; median_rank, queries. Of sample100_5x1000: over all draws.
-- Source: retrieval_ranks.
SELECT
    dataset,
    variant,
    protocol,
    direction,
    100 * avg((rank <= 1)::INTEGER) AS r1,
    100 * avg((rank <= 5)::INTEGER) AS r5,
    100 * avg((rank <= 10)::INTEGER) AS r10,
    100 * avg(1 / rank) AS mrr,
    100 * avg(ndcg10) AS ndcg10,
    100 * avg((rank_text_equal <= 1)::INTEGER) AS text_equal_r1,
    100 * avg((rank_text_equal <= 5)::INTEGER) AS text_equal_r5,
    100 * avg((rank_text_equal <= 10)::INTEGER) AS text_equal_r10,
    median(rank) AS median_rank,
    count(*) AS queries
FROM retrieval_ranks
GROUP BY dataset, variant, protocol, direction
ORDER BY dataset, variant, protocol, direction
