-- duplicate_photos: one row per pair of products that show the same photo: known duplicates, such as sizes and colours of one
--   garment that are listed apart.
-- Columns: dataset, product_id, other_id (product_id < other_id), kind (same_photo: equal bytes or pixels; near_photo:
--   perceptual hashes within $distance bits, by the same brand, under titles that share $similarity of their words),
--   distance (bits), similarity (of the titles' words: shared / all).
-- Source: listings, photos.
-- Parameters: $distance (at most 3), $similarity.
-- Only what connects matters (product_groups), so of many products with one photo each is paired with the first alone: time
-- grows with the photos, not with their pairs. Two hashes within 3 bits agree in one of four 16-bit bands.
WITH usable AS (
    SELECT
        listings.dataset,
        listings.product_id,
        photos.photo_sha256,
        photos.phash,
        coalesce(listings.entities['brand'], '') AS brand
    FROM listings
    JOIN photos USING (source, place)
    WHERE photos.reason IS NULL
),
by_content AS (
    SELECT product_id AS one, min(product_id) OVER (PARTITION BY photo_sha256) AS other, 'same_photo' AS kind, 0 AS distance
    FROM usable
    QUALIFY one <> other
),
hashes AS (
    SELECT phash, brand, min(product_id) AS product_id
    FROM usable
    GROUP BY phash, brand
),
by_hash AS (
    SELECT usable.product_id AS one, hashes.product_id AS other, 'near_photo' AS kind, 0 AS distance
    FROM usable
    JOIN hashes USING (phash, brand)
    WHERE one <> other
),
bands AS (
    SELECT product_id, phash, brand, band, (phash >> (16 * band)) & 65535 AS bits
    FROM hashes, (SELECT unnest(range(4)) AS band)
),
by_nearness AS (
    SELECT a.product_id AS one, b.product_id AS other, 'near_photo' AS kind, bit_count(xor(a.phash, b.phash)) AS distance
    FROM bands AS a
    JOIN bands AS b ON a.brand = b.brand AND a.band = b.band AND a.bits = b.bits AND a.phash < b.phash
    WHERE one <> other AND bit_count(xor(a.phash, b.phash)) <= $distance
),
pairs AS (
    SELECT
        least(one, other) AS product_id,
        greatest(one, other) AS other_id,
        max(kind) AS kind,  -- same_photo comes last in the alphabet
        min(distance) AS distance
    FROM (FROM by_content UNION ALL FROM by_hash UNION ALL FROM by_nearness)
    GROUP BY ALL
),
titles AS (
    SELECT
        dataset,
        product_id,
        list_distinct(string_split(trim(regexp_replace(lower(title), '[^\p{L}\p{N}]+', ' ', 'g')), ' ')) AS words
    FROM (
        SELECT dataset, product_id, min_by(title, row(source, place)) AS title
        FROM listings
        SEMI JOIN (SELECT product_id FROM pairs UNION SELECT other_id FROM pairs) USING (product_id)
        GROUP BY dataset, product_id
    )
),
compared AS (
    SELECT
        a.dataset,
        pairs.*,
        len(list_intersect(a.words, b.words)) / len(list_distinct(list_concat(a.words, b.words))) AS similarity
    FROM pairs
    JOIN titles AS a ON a.product_id = pairs.product_id
    JOIN titles AS b ON b.product_id = pairs.other_id
)
SELECT dataset, product_id, other_id, kind, distance::INTEGER AS distance, similarity
FROM compared
WHERE kind = 'same_photo' OR similarity >= $similarity
ORDER BY product_id, other_id
