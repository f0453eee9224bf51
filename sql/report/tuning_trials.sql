-- tuning_trials: one row per training of the job `tune`, the best of each row of the paper first.
-- Source: tuning_results.
-- Parameters: $dataset.
SELECT *
FROM tuning_results
WHERE dataset = $dataset
ORDER BY variant DESC, validation DESC NULLS LAST, trial
