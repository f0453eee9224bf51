-- photo_sides: one row per smaller side of photos in pixels: photos.
-- Source: profile_photos.
-- Parameters: $dataset.
SELECT smaller_side, sum(images)::BIGINT AS images
FROM profile_photos
WHERE dataset = $dataset
GROUP BY smaller_side
ORDER BY smaller_side
