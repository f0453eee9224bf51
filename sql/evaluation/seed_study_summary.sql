-- seed_study_summary: one row per row of the paper that was trained with several seeds: mean and spread of its recalls.
-- Columns: dataset, variant, row (the paper's row number), seeds (how many), and for each of i2t_r1, i2t_r5, i2t_r10,
--   t2i_r1, t2i_r5, t2i_r10 and sum_r its mean over the seeds and `<name>_spread`, the standard deviation between them
--   (of a sample; null for a single seed).
-- Source: ablation_results, those of the seed study.
SELECT
    dataset,
    variant,
    "row",
    count(*) AS seeds,
    avg(i2t_r1) AS i2t_r1,
    stddev_samp(i2t_r1) AS i2t_r1_spread,
    avg(i2t_r5) AS i2t_r5,
    stddev_samp(i2t_r5) AS i2t_r5_spread,
    avg(i2t_r10) AS i2t_r10,
    stddev_samp(i2t_r10) AS i2t_r10_spread,
    avg(t2i_r1) AS t2i_r1,
    stddev_samp(t2i_r1) AS t2i_r1_spread,
    avg(t2i_r5) AS t2i_r5,
    stddev_samp(t2i_r5) AS t2i_r5_spread,
    avg(t2i_r10) AS t2i_r10,
    stddev_samp(t2i_r10) AS t2i_r10_spread,
    avg(sum_r) AS sum_r,
    stddev_samp(sum_r) AS sum_r_spread
FROM ablation_results
WHERE ablation = 'seed_study' AND subset = 'all'
GROUP BY dataset, variant, "row"
ORDER BY dataset, "row"
