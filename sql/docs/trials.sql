-- trials: one row per ablation, dataset and trial of the ablations in the home, as docs/tables.md shows it.
-- SumR over all candidates, and the gain over the trial that it is compared with, with 95 % intervals over products.
-- chance: a random order, expected.
WITH trials AS (
    FROM ablation_results
    WHERE subset = 'all' AND ablation <> 'seed_study'
),

lines AS (
    SELECT
        *,
        format('{:.0f} [{:.0f}, {:.0f}]', sum_r, sum_r_low, sum_r_high) AS shown,
        format('{:+.1f} [{:.1f}, {:.1f}]', sum_r_gain, gain_low, gain_high) AS gain
    FROM trials
    UNION ALL BY NAME
    SELECT DISTINCT ablation, dataset, 'chance' AS trial, 0 AS steps, format('{:.0f}', chance_recalls.sum_r) AS shown
    FROM trials
    JOIN chance_recalls USING (dataset)
    WHERE protocol = 'full'
)

SELECT
    ablation,
    dataset,
    trial,
    steps,
    shown AS "SumR",
    coalesce(reference, '') AS "compared with",
    coalesce(gain, '') AS gain
FROM lines
ORDER BY ablation, dataset DESC, setting NULLS FIRST, x, trial
