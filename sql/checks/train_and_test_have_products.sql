-- train_and_test_have_products: one row per split of the two that no product with a usable photo is in, and what to do.
-- Source: products, records.
-- Parameters: $test_share.
-- told: a sentence for people
WITH given AS (
    SELECT (SELECT count(*) FROM products) AS count, (SELECT count(source_split) > 0 FROM records) AS is_split
)
SELECT
    format('no {} product: of {} with a usable photo none is in the {} split; ', needed.split, given.count, needed.split)
    || CASE
        WHEN given.is_split THEN 'the raw files mark none of them so, correct their column of splits or those photos'
        WHEN needed.split = 'test' THEN format('set test_share (now {}) higher, or add products', $test_share)
        ELSE format('set test_share (now {}) lower, or add products', $test_share)
    END AS told
FROM (VALUES ('train'), ('test')) AS needed(split)
CROSS JOIN given
ANTI JOIN products USING (split)
ORDER BY needed.split
