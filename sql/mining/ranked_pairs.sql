-- ranked_pairs: one row per origin and ordered pair that meets every constraint, and its place among the trigger's.
-- Source: alike_pairs.
-- Parameters: $minimum_text_similarity, $minimum_image_similarity (-1: whatever it is, and where there is none).
-- place: place among the trigger's pairs, from 1, the highest lift first
WITH relevant AS (
    SELECT *
    FROM alike_pairs
    WHERE text_similarity >= $minimum_text_similarity
        AND ($minimum_image_similarity <= -1 OR image_similarity >= $minimum_image_similarity)
),
directed AS (
    SELECT * RENAME (first AS trigger, second AS positive, first_support AS trigger_support, second_support AS positive_support)
    FROM relevant
    UNION ALL BY NAME
    SELECT * RENAME (second AS trigger, first AS positive, second_support AS trigger_support, first_support AS positive_support)
    FROM relevant
)
SELECT
    * EXCLUDE (same_category),
    row_number() OVER (PARTITION BY trigger ORDER BY lift DESC, support DESC, positive, origin) AS place
FROM directed
