-- seeds_of_rows: one row per dataset and row of Table 1 that `make seed_study` trained with several seeds.
-- Mean and standard deviation between training seeds, and the gain over the first row of each seed; all candidates.
-- chance: a random order, expected.
WITH gains AS (
    SELECT dataset, "row", string_agg(format('{:+.1f}', sum_r_gain), ', ' ORDER BY seed) AS by_seed
    FROM ablation_results
    WHERE ablation = 'seed_study' AND subset = 'all'
    GROUP BY dataset, "row"
)

SELECT
    dataset,
    "row" || ' `' || variant || '`' AS "row",
    seeds,
    format('{:.1f} ± {:.1f}', i2t_r1, i2t_r1_spread) AS "I2T R@1",
    format('{:.1f} ± {:.1f}', t2i_r1, t2i_r1_spread) AS "T2I R@1",
    format('{:.0f} ± {:.0f}', sum_r, sum_r_spread) AS "SumR",
    coalesce(by_seed, '') AS "SumR over row 3, by seed"
FROM seed_study_summary
LEFT JOIN gains USING (dataset, "row")
UNION ALL BY NAME
SELECT
    dataset,
    variant AS "row",
    0 AS seeds,
    format('{:.1f}', i2t_r1) AS "I2T R@1",
    format('{:.1f}', t2i_r1) AS "T2I R@1",
    format('{:.0f}', sum_r) AS "SumR",
    '' AS "SumR over row 3, by seed"
FROM chance_recalls
WHERE protocol = 'full' AND dataset IN (SELECT dataset FROM seed_study_summary)
ORDER BY dataset DESC, "row" = 'chance' DESC, "row"
