-- chance_of_styles: one row: what a random order of the candidates reaches in same-style retrieval.
-- Source: same_style_chance.
-- Parameters: $dataset.
SELECT *
FROM same_style_chance
WHERE dataset = $dataset
