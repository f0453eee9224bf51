-- profile_photos: one row per photo size, in pixels; rare sizes together.
-- Source: images.
-- Parameters: $step (pixels), $most (sizes that have a row of their own: the commonest).
-- smaller_side: smaller side, rounded down to a multiple of the step (pixels)
-- photo_width: width (pixels); empty in the row of all rare sizes of that smaller side
-- photo_height: height (pixels); empty in the row of all rare sizes of that smaller side
-- images: number of photos
WITH sizes AS (
    SELECT
        dataset,
        photo_width,
        photo_height,
        count(*) AS images,
        row_number() OVER (ORDER BY count(*) DESC, photo_width, photo_height) <= $most AS is_common
    FROM images
    GROUP BY dataset, photo_width, photo_height
)
SELECT
    dataset,
    (least(photo_width, photo_height) // $step * $step)::INTEGER AS smaller_side,
    CASE WHEN is_common THEN photo_width END AS photo_width,
    CASE WHEN is_common THEN photo_height END AS photo_height,
    sum(images)::BIGINT AS images
FROM sizes
GROUP BY ALL
ORDER BY dataset, smaller_side, images DESC, photo_width, photo_height
