-- retrieval_metrics: one row per variant, protocol and direction, over the test split.
-- Columns: dataset, variant, protocol (full | sample100), direction (i2t | t2i), r1, r5, r10 (recall, percent),
--   median_rank, queries.
-- Source: retrieval_ranks.
SELECT
    dataset,
    variant,
    protocol,
    direction,
    100 * avg((rank <= 1)::INTEGER) AS r1,
    100 * avg((rank <= 5)::INTEGER) AS r5,
    100 * avg((rank <= 10)::INTEGER) AS r10,
    median(rank) AS median_rank,
    count(*) AS queries
FROM retrieval_ranks
GROUP BY dataset, variant, protocol, direction
ORDER BY dataset, variant, protocol, direction
