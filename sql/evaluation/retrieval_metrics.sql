-- retrieval_metrics: one row per variant, protocol and direction, over the test split.
-- Source: retrieval_ranks.
-- direction: i2t (photo to text) | t2i (text to photo)
-- queries: number of queries; of sample100_5x1000: over all draws
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
