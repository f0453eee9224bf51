-- click_pairs: one row per origin and ordered pair of training products that were clicked in one session, or that
--   the raw files name as related: both directions, under no constraint.
-- Source: supported_pairs, catalogue: steps of the mining, sql/mining.
-- Parameters: $dataset, $weight_cap.
-- source: 'log' | 'related': clicks, or what the raw files name as related
-- support: sessions with both; of related products: lists that say so
-- sessions: all sessions with one of the products of a pair
-- weight: support up to a cap
WITH directed AS (
    SELECT origin, first AS trigger, second AS positive, support, first_support, second_support, sessions, lift, same_category
    FROM supported_pairs
    UNION ALL
    SELECT origin, second, first, support, second_support, first_support, sessions, lift, same_category
    FROM supported_pairs
)
SELECT
    $dataset AS dataset,
    shown.product_id AS trigger_id,
    clicked.product_id AS positive_id,
    origin AS source,
    support,
    first_support AS trigger_support,
    second_support AS positive_support,
    sessions,
    lift,
    same_category,
    least(support, $weight_cap)::DOUBLE AS weight
FROM directed
JOIN catalogue AS shown ON shown.number = directed.trigger
JOIN catalogue AS clicked ON clicked.number = directed.positive
ORDER BY directed.trigger, directed.positive, origin
