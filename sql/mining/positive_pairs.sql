-- positive_pairs: one row per source and ordered pair (trigger, positive) of training products that are taken for one
--   style.
-- They were clicked together more often than popularity explains, are of one category, and alike in text and photo. And
-- every product with itself, whose photos show one style.
-- Source: ranked_pairs, catalogue (steps of the mining, sql/mining), images.
-- Parameters: $dataset, $weight_cap, $most_positives.
-- source: 'log' | 'related' | 'photos': clicks, what the raw files name as related, or a product with itself
-- support: sessions with both products; of photos: their number
-- weight: what training draws positives by
-- image_similarity: cosine of the mean photos; of a product with itself: 1
WITH photos AS (
    SELECT catalogue.number, count(*) AS photos
    FROM images
    JOIN catalogue USING (product_id)
    WHERE catalogue.is_training
    GROUP BY catalogue.number
),
pairs AS (
    SELECT
        trigger, positive, origin, support, trigger_support, positive_support, sessions, lift,
        least(support, $weight_cap)::DOUBLE AS weight,
        text_similarity, image_similarity
    FROM ranked_pairs
    WHERE place <= $most_positives
    UNION ALL
    SELECT number, number, 'photos', photos, photos, photos, photos, 1, 1, 1, 1
    FROM photos
)
SELECT
    $dataset AS dataset,
    shown.product_id AS trigger_id,
    clicked.product_id AS positive_id,
    pairs.origin AS source,
    pairs.support,
    pairs.trigger_support,
    pairs.positive_support,
    pairs.sessions,
    pairs.lift,
    true AS same_category,
    pairs.weight,
    pairs.text_similarity,
    pairs.image_similarity
FROM pairs
JOIN catalogue AS shown ON shown.number = pairs.trigger
JOIN catalogue AS clicked ON clicked.number = pairs.positive
ORDER BY pairs.trigger, pairs.positive, pairs.origin
