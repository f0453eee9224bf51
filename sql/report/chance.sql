-- chance: one row per protocol: what a random order of the candidates reaches.
-- Source: chance_recalls.
-- Parameters: $dataset.
SELECT *
FROM chance_recalls
WHERE dataset = $dataset
