-- trials: one row per ablation, dataset and trial of the ablations in the home, as docs/tables.md shows it.
-- SumR over all candidates, and the gain over the trial that it is compared with, with 95 % intervals over products.
SELECT
    ablation,
    dataset,
    trial,
    steps,
    format('{:.0f} [{:.0f}, {:.0f}]', sum_r, sum_r_low, sum_r_high) AS "SumR",
    reference AS "compared with",
    CASE WHEN sum_r_gain IS NULL THEN '' ELSE format('{:+.1f} [{:.1f}, {:.1f}]', sum_r_gain, gain_low, gain_high) END AS gain
FROM ablation_results
WHERE subset = 'all' AND ablation <> 'seed_study'
ORDER BY ablation, dataset DESC, setting, x, trial
