-- rows_over_seeds: one row per row that `make seed_study` trained with several seeds, as the README shows it.
-- Mean and standard deviation between training seeds; all candidates. chance: a random order, expected.
SELECT
    "row" || ' `' || variant || '`' AS "row",
    format('{:.1f} ± {:.1f}', i2t_r1, i2t_r1_spread) AS "I2T R@1",
    format('{:.1f} / {:.1f}', i2t_r5, i2t_r10) AS "R@5 / 10",
    format('{:.1f} ± {:.1f}', t2i_r1, t2i_r1_spread) AS "T2I R@1",
    format('{:.1f} / {:.1f}', t2i_r5, t2i_r10) AS "R@5 / 10 ",
    format('{:.0f} ± {:.0f}', sum_r, sum_r_spread) AS "SumR"
FROM seed_study_summary
UNION ALL BY NAME
SELECT
    variant AS "row",
    format('{:.1f}', i2t_r1) AS "I2T R@1",
    format('{:.1f} / {:.1f}', i2t_r5, i2t_r10) AS "R@5 / 10",
    format('{:.1f}', t2i_r1) AS "T2I R@1",
    format('{:.1f} / {:.1f}', t2i_r5, t2i_r10) AS "R@5 / 10 ",
    format('{:.0f}', sum_r) AS "SumR"
FROM chance_recalls
WHERE protocol = 'full' AND dataset IN (SELECT dataset FROM seed_study_summary)
ORDER BY "row" = 'chance' DESC, "row"
