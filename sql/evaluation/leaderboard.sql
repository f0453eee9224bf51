-- leaderboard: one row per protocol and variant, both directions side by side, as the paper's Table 1.
-- Source: retrieval_metrics.
-- Parameters: $variants, in the order of their rows.
-- paper_row: row number, 1 to 5 as in the paper's Table 1; 6 is our own
SELECT
    dataset,
    protocol,
    list_position($variants, variant) AS paper_row,
    variant,
    max(r1) FILTER (WHERE direction = 'i2t') AS i2t_r1,
    max(r5) FILTER (WHERE direction = 'i2t') AS i2t_r5,
    max(r10) FILTER (WHERE direction = 'i2t') AS i2t_r10,
    max(r1) FILTER (WHERE direction = 't2i') AS t2i_r1,
    max(r5) FILTER (WHERE direction = 't2i') AS t2i_r5,
    max(r10) FILTER (WHERE direction = 't2i') AS t2i_r10,
    sum(r1 + r5 + r10) AS sum_r,
    max(mrr) FILTER (WHERE direction = 'i2t') AS i2t_mrr,
    max(mrr) FILTER (WHERE direction = 't2i') AS t2i_mrr,
    max(ndcg10) FILTER (WHERE direction = 'i2t') AS i2t_ndcg10,
    max(ndcg10) FILTER (WHERE direction = 't2i') AS t2i_ndcg10
FROM retrieval_metrics
GROUP BY dataset, protocol, variant
ORDER BY dataset, protocol, paper_row
