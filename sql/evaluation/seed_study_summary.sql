-- seed_study_summary: one row per row of the paper that was trained with several seeds: mean and spread of its recalls.
-- Source: ablation_results, those of the seed study.
-- row: row number of the paper that the variant is
-- i2t_r1: mean recall@1 from photo to text over the seeds
-- i2t_r5: mean recall@5 from photo to text over the seeds
-- i2t_r10: mean recall@10 from photo to text over the seeds
-- t2i_r1: mean recall@1 from text to photo over the seeds
-- t2i_r5: mean recall@5 from text to photo over the seeds
-- t2i_r10: mean recall@10 from text to photo over the seeds
-- sum_r: mean SumR over the seeds
-- i2t_r1_spread: standard deviation of i2t_r1 between the seeds (of a sample; empty for a single seed)
-- i2t_r5_spread: standard deviation of i2t_r5 between the seeds
-- i2t_r10_spread: standard deviation of i2t_r10 between the seeds
-- t2i_r1_spread: standard deviation of t2i_r1 between the seeds
-- t2i_r5_spread: standard deviation of t2i_r5 between the seeds
-- t2i_r10_spread: standard deviation of t2i_r10 between the seeds
-- sum_r_spread: standard deviation of sum_r between the seeds
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
