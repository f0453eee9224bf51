-- outcomes: one row per trained variant: whether it has learned.
-- Source: training_outcomes.
-- Parameters: $dataset.
SELECT *
FROM training_outcomes
WHERE dataset = $dataset
ORDER BY variant
