-- products: one row per product with a usable photo, and the split it belongs to.
-- Columns: dataset, product_id, split (train | validation | test | excluded), title, description, description_raw, category,
--   subcategory, department, gender, price, image_count, description_count (distinct ones over its rows), review_count,
--   mean_rating (empty without reviews).
-- Source: listings, photos (the product's first raw row with a usable photo speaks for it), product_groups (known
--   duplicates), review_stats, helpful_reviews.
-- Parameters: $seed, $test_share (only where the raw files draw no line), $validation_share.
-- A product is wholly in one split, and so is a group of known duplicates: draws are digests of the group's id, so that
-- they depend on no other row and on no version of DuckDB's own hash. Where the raw files draw the line, any row in their
-- test part makes a test product; what lies on the other side and duplicates one is excluded from training.
WITH files AS (
    SELECT source, row_number() OVER (ORDER BY source) AS file
    FROM (SELECT DISTINCT source FROM listings)
),
-- The raw order as one number: rows are grouped, joined and sorted by it at a fraction of what (source, place) takes.
usable AS (
    SELECT
        listings.product_id,
        (files.file << 44) + listings.place AS raw_place,
        listings.source_split,
        listings.description
    FROM listings
    JOIN files USING (source)
    JOIN photos USING (source, place)
    WHERE photos.reason IS NULL
),
merged AS (
    SELECT
        product_id,
        min(raw_place) AS first_place,
        count(*) AS image_count,
        coalesce(bool_or(source_split = 'test'), false) AS is_test,
        count(source_split) > 0 AS is_split
    FROM usable
    GROUP BY product_id
),
several AS (
    SELECT product_id, count(DISTINCT description) AS description_count
    FROM usable
    SEMI JOIN (FROM merged WHERE image_count > 1) USING (product_id)
    GROUP BY product_id
),
grouped AS (
    SELECT product_id, group_id, bool_or(is_test) OVER (PARTITION BY group_id) AS duplicates_test
    FROM product_groups
    JOIN merged USING (product_id)
),
drawn AS (
    SELECT
        merged.*,
        coalesce(grouped.duplicates_test, false) AS duplicates_test,
        coalesce(grouped.group_id, product_id) AS draw_id
    FROM merged
    LEFT JOIN grouped USING (product_id)
)
SELECT
    listings.dataset,
    drawn.product_id,
    CASE
        WHEN drawn.is_test THEN 'test'
        WHEN drawn.is_split AND drawn.duplicates_test THEN 'excluded'
        WHEN NOT drawn.is_split AND md5_number_lower('test:' || $seed || ':' || drawn.draw_id)
            / 18446744073709551616.0 < $test_share THEN 'test'
        WHEN md5_number_lower('validation:' || $seed || ':' || drawn.draw_id)
            / 18446744073709551616.0 < $validation_share THEN 'validation'
        ELSE 'train'
    END AS split,
    listings.title,
    CASE WHEN helpful_reviews.review_text IS NULL THEN listings.description
        ELSE listings.description || '. ' || helpful_reviews.review_text END AS description,
    listings.description_raw,
    listings.category,
    listings.subcategory,
    listings.department,
    listings.gender,
    listings.price,
    drawn.image_count,
    coalesce(several.description_count, 1) AS description_count,
    review_stats.review_count,
    review_stats.mean_rating
FROM listings
JOIN files USING (source)
JOIN drawn ON drawn.first_place = (files.file << 44) + listings.place
LEFT JOIN several ON several.product_id = drawn.product_id
LEFT JOIN review_stats ON review_stats.product_id = drawn.product_id
LEFT JOIN helpful_reviews ON helpful_reviews.product_id = drawn.product_id
ORDER BY drawn.first_place
