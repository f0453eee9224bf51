-- images: one row per usable photo.
-- Source: listings, photos, products.
-- Parameters: $one_row (whether a product has one row, so that later ones are duplicates), $part_rows.
-- part: part of the dataset: its shards are made part by part
WITH numbered AS (
    SELECT
        listings.dataset,
        listings.product_id,
        listings.pose,
        photos.photo,
        photos.width AS photo_width,
        photos.height AS photo_height,
        photos.photo_sha256,
        photos.phash,
        listings.source,
        listings.place,
        row_number() OVER (PARTITION BY listings.product_id ORDER BY listings.source, listings.place) AS number
    FROM listings
    JOIN photos USING (source, place)
    WHERE photos.reason IS NULL
)
SELECT
    numbered.dataset,
    numbered.product_id || '_' || numbered.number AS image_id,
    numbered.product_id,
    products.split,
    numbered.* EXCLUDE (dataset, product_id, number),
    regexp_replace(numbered.source, '[^A-Za-z0-9_]+', '-', 'g') || '-' || printf('%05d', numbered.place // $part_rows) AS part
FROM numbered
JOIN products USING (product_id)
WHERE numbered.number = 1 OR NOT $one_row
-- The raw order: photos are read back in it, and a file read in order is read fast.
ORDER BY numbered.source, numbered.place
