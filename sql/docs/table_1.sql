-- table_1: one row per dataset, protocol and row of the paper's Table 1, as docs/tables.md shows it.
-- Recalls in percent on the test split; in brackets 95 % intervals over products. chance: a random order, expected.
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
    coalesce(paper_row || ' `' || variant || '`', variant) AS "row",
    coalesce(spans.i2t_r1, format('{:.1f}', lines.i2t_r1)) AS "I2T R@1",
    format('{:.1f} / {:.1f}', i2t_r5, i2t_r10) AS "R@5 / 10",
    coalesce(spans.t2i_r1, format('{:.1f}', lines.t2i_r1)) AS "T2I R@1",
    format('{:.1f} / {:.1f}', t2i_r5, t2i_r10) AS "R@5 / 10 ",
    coalesce(both_sum_r, format('{:.1f}', sum_r)) AS "SumR",
    format('{:.1f} / {:.1f}', i2t_mrr, t2i_mrr) AS "MRR I2T / T2I",
    format('{:.1f}', t2i_ndcg10) AS "nDCG@10 T2I"
FROM (FROM leaderboard UNION ALL BY NAME FROM chance_recalls) AS lines
LEFT JOIN spans USING (dataset, protocol, variant)
WHERE both_sum_r IS NOT NULL OR (variant = 'chance' AND protocol IN ('full', 'sample100', 'sample100_5x1000'))
ORDER BY protocol, dataset DESC, paper_row NULLS FIRST
