-- ranked_pairs: one row per origin and ordered pair that meets every constraint, and its place among the trigger's.
-- Columns: origin, trigger, positive (numbers), support, trigger_support, positive_support, sessions, lift, text_similarity,
--   image_similarity, place (from 1, the highest lift first).
-- Source: alike_pairs.
-- Parameters: $minimum_text_similarity, $minimum_image_similarity (-1: whatever it is, and where there is none).
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
