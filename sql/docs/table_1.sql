-- table_1: one row per dataset, protocol and row of the paper's Table 1, as docs/tables.md shows it.
-- Recalls in percent on the test split; in brackets 95 % intervals over products.
WITH figures AS (
    SELECT
        dataset,
        protocol,
        variant,
        direction || '_' || measure AS figure,
        format('{:.1f} [{:.1f}, {:.1f}]', value, low, high) AS spanned
    FROM metric_intervals
    WHERE measure IN ('r1', 'sum_r') AND protocol IN ('full', 'sample100', 'sample100_5x1000')
),

spans AS (
    PIVOT figures ON figure IN ('i2t_r1', 't2i_r1', 'both_sum_r') USING any_value(spanned)
)

SELECT
    dataset,
    protocol,
    paper_row || ' `' || variant || '`' AS "row",
    spans.i2t_r1 AS "I2T R@1",
    format('{:.1f} / {:.1f}', i2t_r5, i2t_r10) AS "R@5 / 10",
    spans.t2i_r1 AS "T2I R@1",
    format('{:.1f} / {:.1f}', t2i_r5, t2i_r10) AS "R@5 / 10 ",
    both_sum_r AS "SumR",
    format('{:.1f} / {:.1f}', i2t_mrr, t2i_mrr) AS "MRR I2T / T2I",
    format('{:.1f}', t2i_ndcg10) AS "nDCG@10 T2I"
FROM leaderboard
JOIN spans USING (dataset, protocol, variant)
WHERE paper_row IS NOT NULL
ORDER BY protocol, dataset DESC, paper_row
