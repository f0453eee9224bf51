-- seed_study: one row per row of the paper that was trained with several seeds.
-- Source: seed_study_summary.
-- Parameters: $dataset.
SELECT *
FROM seed_study_summary
WHERE dataset = $dataset
ORDER BY "row"
