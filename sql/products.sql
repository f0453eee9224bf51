-- products: one row per product, with the split it belongs to.
-- Columns: dataset, product_id, split (train | validation | test), title, description, description_raw, category,
--   subcategory, department, gender, price, image_count, description_count (distinct ones over its photos).
-- Source: catalog (one row per photo); the product's first raw row speaks for it.
-- Parameters: $seed, $test_share (only where the raw files draw no line), $validation_share.
-- A product is wholly in one split: any row in the raw files' test part makes it a test product. The other draws are
-- digests of the product's id, so that they depend on no other row and on no version of DuckDB's own hash.
WITH first_rows AS (
    SELECT *, row(source, split_part(locator, ' ', 2)::BIGINT) AS place
    FROM catalog
),
merged AS (
    SELECT
        dataset,
        product_id,
        min_by(title, place) AS title,
        min_by(description, place) AS description,
        min_by(description_raw, place) AS description_raw,
        min_by(category, place) AS category,
        min_by(subcategory, place) AS subcategory,
        min_by(department, place) AS department,
        min_by(gender, place) AS gender,
        min_by(price, place) AS price,
        count(*) AS image_count,
        count(DISTINCT description) AS description_count,
        coalesce(bool_or(source_split = 'test'), false) AS is_test,
        count(source_split) > 0 AS is_split,
        md5_number_lower('test:' || $seed || ':' || product_id) / 18446744073709551616.0 AS test_draw,
        md5_number_lower('validation:' || $seed || ':' || product_id) / 18446744073709551616.0 AS validation_draw
    FROM first_rows
    GROUP BY dataset, product_id
)
SELECT
    dataset,
    product_id,
    CASE
        WHEN is_test OR (NOT is_split AND test_draw < $test_share) THEN 'test'
        WHEN validation_draw < $validation_share THEN 'validation'
        ELSE 'train'
    END AS split,
    title,
    description,
    description_raw,
    category,
    subcategory,
    department,
    gender,
    price,
    image_count,
    description_count
FROM merged
ORDER BY product_id
