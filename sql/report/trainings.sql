-- trainings: one row per variant: how long it was trained, and where its loss ended.
-- Source: training_log.
-- Parameters: $dataset.
SELECT
    variant,
    max(epoch) + 1 AS epochs,
    max(step) + 1 AS steps,
    max_by(loss_joint, step) AS loss_joint,
    max_by(pairs_per_second, step) AS pairs_per_second,
    max(seconds) AS seconds
FROM training_log
WHERE dataset = $dataset
GROUP BY variant
