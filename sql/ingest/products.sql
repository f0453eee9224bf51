-- products: one row per product with a usable photo, and the split it belongs to.
-- Source: listings, photos (a product's text is that of its first raw row with a usable photo), split_groups (known
--   duplicates and products of one style), review_stats, helpful_reviews.
-- Parameters: $seed, $test_share (only where the raw files define no test part), $validation_share.
-- A product is in one split, and so is a group of known duplicates and of one style: splits are drawn by digests of the
-- group's id, so that they depend on no other row and on no version of DuckDB's own hash; of so few that none is drawn
-- for the test, the one nearest to it is taken. Where the raw files define a test part, any row in it, its photo usable
-- or not, makes a test product; other products that duplicate one are excluded from training.
-- image_count: number of usable photos
-- description_count: number of distinct descriptions over its raw rows
WITH seen AS (
    SELECT
        listings.product_id,
        listings.source,
        listings.place,
        listings.source_split,
        listings.description,
        photos.reason IS NULL AS is_usable
    FROM listings
    JOIN photos USING (source, place)
),
merged AS (
    SELECT
        product_id,
        min(row(source, place)) FILTER (is_usable) AS first_row,
        count(*) FILTER (is_usable) AS image_count,
        coalesce(bool_or(source_split = 'test'), false) AS is_test,
        count(source_split) > 0 AS is_split
    FROM seen
    GROUP BY product_id
    HAVING bool_or(is_usable)
),
several AS (
    SELECT product_id, count(DISTINCT description) AS description_count
    FROM seen
    SEMI JOIN (FROM merged WHERE image_count > 1) USING (product_id)
    WHERE is_usable
    GROUP BY product_id
),
grouped AS (
    SELECT product_id, group_id, bool_or(is_test) OVER (PARTITION BY group_id) AS duplicates_test
    FROM split_groups
    JOIN merged USING (product_id)
),
drawn AS (
    SELECT
        merged.*,
        coalesce(grouped.duplicates_test, false) AS duplicates_test,
        coalesce(grouped.group_id, product_id) AS draw_id,
        md5_number_lower('test:' || $seed || ':' || coalesce(grouped.group_id, product_id))
            / 18446744073709551616.0 AS test_draw
    FROM merged
    LEFT JOIN grouped USING (product_id)
),
lowest AS (
    SELECT min(test_draw) AS test_draw, count(DISTINCT draw_id) AS draws
    FROM drawn
    WHERE NOT is_split
)
SELECT
    listings.dataset,
    drawn.product_id,
    CASE
        WHEN drawn.is_test THEN 'test'
        WHEN drawn.is_split AND drawn.duplicates_test THEN 'excluded'
        WHEN NOT drawn.is_split AND drawn.test_draw < $test_share THEN 'test'
        WHEN NOT drawn.is_split AND $test_share > 0 AND lowest.draws > 1 AND drawn.test_draw = lowest.test_draw THEN 'test'
        WHEN md5_number_lower('validation:' || $seed || ':' || drawn.draw_id)
            / 18446744073709551616.0 < $validation_share THEN 'validation'
        ELSE 'train'
    END AS split,
    listings.title,
    CASE
        WHEN helpful_reviews.review_text IS NULL THEN listings.description
        WHEN regexp_matches(listings.description, '[.!?:;,]$') THEN listings.description || ' ' || helpful_reviews.review_text
        ELSE listings.description || '. ' || helpful_reviews.review_text
    END AS description,
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
JOIN drawn ON drawn.product_id = listings.product_id
    AND drawn.first_row = row(listings.source, listings.place)
CROSS JOIN lowest
LEFT JOIN several ON several.product_id = drawn.product_id
LEFT JOIN review_stats ON review_stats.product_id = drawn.product_id
LEFT JOIN helpful_reviews ON helpful_reviews.product_id = drawn.product_id
ORDER BY listings.source, listings.place
