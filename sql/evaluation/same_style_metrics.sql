-- same_style_metrics: one row per variant, seed and pair of views, over the test products whose style has another one.
-- Source: same_style_ranks.
-- mrr: mean of 1 / rank of the best product of the query's style (percent)
SELECT
    dataset,
    variant,
    seed,
    view_pair,
    100 * avg(1 / rank) AS mrr,
    100 * avg((rank <= 1)::INTEGER) AS r1,
    100 * avg((rank <= 5)::INTEGER) AS r5,
    100 * avg((rank <= 10)::INTEGER) AS r10,
    median(rank) AS median_rank,
    count(*) AS queries
FROM same_style_ranks
GROUP BY dataset, variant, seed, view_pair
ORDER BY dataset, variant, seed, view_pair
