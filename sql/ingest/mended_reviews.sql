-- mended_reviews: one row per review of a file, those that SQL could not read as the line reader read them.
-- Source: review_lines (with file_row_number), mended.
-- place: number of the line, from 1
SELECT
    dataset, source, file_row_number + 1 AS place, product_id, rating, helpful, text, summary, time, verified
FROM review_lines
WHERE reason IS NULL
UNION ALL BY NAME
SELECT * FROM mended
