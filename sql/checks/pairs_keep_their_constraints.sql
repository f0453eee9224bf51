-- pairs_keep_their_constraints: one row per pair of positive_pairs that is of no training product, joins two
--   products not of one category, lies below a threshold, is there twice, weighs nothing, or is more than a trigger
--   may keep.
-- Source: positive_pairs, products.
-- Parameters: $category, $minimum_support, $minimum_lift, $minimum_text_similarity, $minimum_image_similarity,
--   $most_positives.
WITH training AS (
    SELECT
        product_id,
        CASE $category
            WHEN 'category' THEN category
            WHEN 'subcategory' THEN subcategory
            WHEN 'department' THEN department
            WHEN 'none' THEN 'any'
        END AS category
    FROM products
    WHERE split = 'train'
),
judged AS (
    SELECT
        pairs.trigger_id,
        pairs.positive_id,
        pairs.source,
        CASE
            WHEN shown.product_id IS NULL OR clicked.product_id IS NULL THEN 'not of the training split'
            WHEN NOT coalesce(pairs.weight > 0, false) THEN 'no weight'
            WHEN count(*) OVER (PARTITION BY pairs.trigger_id, pairs.positive_id, pairs.source) > 1 THEN 'twice'
            WHEN (pairs.source = 'photos') <> (pairs.trigger_id = pairs.positive_id) THEN 'a product with itself'
            WHEN pairs.source = 'photos' THEN NULL
            WHEN shown.category <> clicked.category OR shown.category = '' THEN 'not of one category'
            WHEN pairs.source = 'log' AND pairs.support < $minimum_support THEN 'support'
            WHEN pairs.lift < $minimum_lift THEN 'lift'
            WHEN pairs.text_similarity < $minimum_text_similarity THEN 'text similarity'
            WHEN $minimum_image_similarity > -1 AND NOT coalesce(pairs.image_similarity >= $minimum_image_similarity, false)
            THEN 'image similarity'
            WHEN count(*) FILTER (pairs.source <> 'photos') OVER (PARTITION BY pairs.trigger_id) > $most_positives
            THEN 'too many'
        END AS offence
    FROM positive_pairs AS pairs
    LEFT JOIN training AS shown ON shown.product_id = pairs.trigger_id
    LEFT JOIN training AS clicked ON clicked.product_id = pairs.positive_id
)
SELECT trigger_id, positive_id, source, offence
FROM judged
WHERE offence IS NOT NULL
ORDER BY ALL
