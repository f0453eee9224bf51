-- duplicate_photos: one row per pair of products found by their photos to be one listing in several sizes, colours
--   or copies.
-- Source: listings, photos, entity_spellings.
-- Parameters: $group (the entity group that names makers), $distance (bits; hashes within 3 agree in one of four
--   bands, so that up to 3 no pair is overlooked), $similarity.
-- The hash is of brightness and composition: garments photographed in one way collide (every print on one blank
-- shirt), so near photos need the words too. A rare word weighs more, since "Women T-Shirt Size XL" is shared by
-- all; the brand's own words are left out, since the brand is the same already. Not all pairs of a set of like
-- photos are here: what counts is which products hang together (`product_groups`), and time has to grow with the
-- photos, not with their pairs. Equal photos are paired with the first product; of a larger bucket of hashes than
-- 50, neighbours in the order of titles are compared, where sizes and colours of a listing lie side by side: up to
-- 50 no pair is overlooked, beyond that one whose titles begin differently may be. A photo of more than 5 products
-- whose titles have little in common is a placeholder ("no image available") and pairs nothing.
-- other_id: id of the other product; product_id < other_id
-- kind: same_photo: equal photo_sha256; near_photo: perceptual hashes within $distance bits, of one brand, under
--   similar titles
-- distance: bits in which the perceptual hashes differ
-- similarity: weight of the words that both titles have over the weight of all their words, 0 to 1; empty where no
--   title has a word
WITH usable AS (
    SELECT
        listings.dataset,
        listings.product_id,
        coalesce(nullif(listings.title, ''), listings.description, '') AS title,
        coalesce(entity_spellings.entity, '') AS brand,
        photos.photo_sha256,
        photos.phash
    FROM listings
    JOIN photos USING (source, place)
    LEFT JOIN entity_spellings
        ON entity_spellings.entity_group = $group AND entity_spellings.spelling = listings.entities[$group][1]
    WHERE photos.reason IS NULL
),
same_photos AS (
    SELECT DISTINCT
        photo_sha256,
        least(product_id, first_id) AS product_id,
        greatest(product_id, first_id) AS other_id
    FROM usable
    JOIN (
        SELECT photo_sha256, min(product_id) AS first_id
        FROM usable
        GROUP BY photo_sha256
        HAVING count(DISTINCT product_id) > 1
    ) USING (photo_sha256)
    WHERE product_id <> first_id
),
hashes AS (
    SELECT
        row_number() OVER (ORDER BY title, product_id, phash, photo_sha256) AS id,
        dense_rank() OVER (ORDER BY product_id) AS product_number,
        *
    FROM (SELECT product_id, brand, phash, photo_sha256, min(title) AS title FROM usable GROUP BY ALL)
),
bands AS (
    SELECT
        id,
        product_number,
        phash,
        hash(brand, band, (phash >> (16 * band)) & 65535) AS bucket,
        row_number() OVER (PARTITION BY bucket ORDER BY id) - 1 AS number
    FROM hashes
    CROSS JOIN range(4) AS bands(band)
),
-- Neighbours up to 50 apart lie in one block of 50 or in two in a row.
blocks AS (
    SELECT bands.*, number // 50 + next AS block
    FROM bands
    CROSS JOIN range(2) AS blocks(next)
),
-- Product numbers here, and no condition between two rows of hashes below: DuckDB would take it for a join of its
-- own and
-- compare every row with every other.
neighbours AS (
    SELECT DISTINCT one.id AS one_id, other.id AS other_id
    FROM blocks AS one
    JOIN bands AS other ON one.bucket = other.bucket AND one.block = other.number // 50
        AND one.number < other.number AND other.number <= one.number + 50
    WHERE one.product_number <> other.product_number AND bit_count(xor(one.phash, other.phash)) <= $distance
),
near_photos AS (
    SELECT
        least(one.product_id, other.product_id) AS product_id,
        greatest(one.product_id, other.product_id) AS other_id,
        one.photo_sha256 = other.photo_sha256 AS same,
        bit_count(xor(one.phash, other.phash)) AS distance
    FROM neighbours
    JOIN hashes AS one ON one.id = neighbours.one_id
    JOIN hashes AS other ON other.id = neighbours.other_id
),
pairs AS (
    SELECT product_id, other_id, bool_or(same) AS same, min(distance) AS distance
    FROM (
        SELECT product_id, other_id, true AS same, 0 AS distance FROM same_photos
        UNION ALL
        SELECT product_id, other_id, same, distance FROM near_photos
    )
    GROUP BY product_id, other_id
),
titles AS (
    SELECT
        product_id,
        list_distinct(list_filter(
            regexp_extract_all(lower(title), '[\p{L}\p{N}]+'),
            lambda word: NOT list_contains(regexp_extract_all(lower(brand), '[\p{L}\p{N}]+'), word)
        )) AS words
    FROM (SELECT product_id, min(title) AS title, min(brand) AS brand FROM usable GROUP BY product_id)
),
weights AS (
    SELECT word, ln(1 + (SELECT count(*) FROM titles) / count(*)) AS weight
    FROM (SELECT unnest(words) AS word FROM titles)
    GROUP BY word
),
weighed AS (
    SELECT product_id, list({word: word, weight: weight}) AS words, sum(weight) AS weight
    FROM (
        SELECT product_id, unnest(words) AS word
        FROM titles
        SEMI JOIN (SELECT product_id FROM pairs UNION SELECT other_id FROM pairs) USING (product_id)
    )
    JOIN weights USING (word)
    GROUP BY product_id
),
shared AS (
    SELECT
        pairs.*,
        coalesce(one.weight, 0) + coalesce(other.weight, 0) AS weight,
        coalesce(list_sum(list_transform(list_intersect(one.words, other.words), lambda w: w.weight)), 0) AS both_weight
    FROM pairs
    LEFT JOIN weighed AS one ON one.product_id = pairs.product_id
    LEFT JOIN weighed AS other ON other.product_id = pairs.other_id
),
compared AS (
    SELECT product_id, other_id, same, distance, both_weight / nullif(weight - both_weight, 0) AS similarity
    FROM shared
),
copies AS (
    SELECT product_id, other_id
    FROM same_photos
    JOIN compared USING (product_id, other_id)
    QUALIFY count(*) OVER (PARTITION BY photo_sha256) < 5
        OR coalesce(median(similarity) OVER (PARTITION BY photo_sha256), 0) >= 0.2
)
SELECT
    (SELECT any_value(dataset) FROM usable) AS dataset,
    product_id,
    other_id,
    CASE WHEN same THEN 'same_photo' ELSE 'near_photo' END AS kind,
    distance::INTEGER AS distance,
    round(similarity, 6) AS similarity
FROM compared
WHERE similarity >= $similarity OR (product_id, other_id) IN (FROM copies)
ORDER BY product_id, other_id
