-- supported_pairs: one row per origin and two products clicked together, and how far popularity explains it.
-- Source: pair_supports, item_supports, sessions, catalogue.
-- Parameters: $most_items, $clicked_support (fewer sessions are no pair), $minimum_support (of clicks; a shop's own
--   lists say it once).
-- first_support: sessions with the first product
-- second_support: sessions with the second product
-- is_supported: whether there are sessions enough
WITH totals AS (
    SELECT origin, count(*) AS sessions
    FROM sessions
    WHERE len(items) BETWEEN 2 AND $most_items
    GROUP BY origin
)
SELECT
    pairs.origin,
    pairs.first,
    pairs.second,
    pairs.support,
    one.support AS first_support,
    other.support AS second_support,
    totals.sessions,
    -- Exact up to the division, so that both directions of a pair have one lift.
    pairs.support::DOUBLE * totals.sessions / (one.support::DOUBLE * other.support) AS lift,
    coalesce(one_product.category = other_product.category, false) AS same_category,
    pairs.support >= $minimum_support OR pairs.origin = 'related' AS is_supported
FROM pair_supports AS pairs
JOIN totals ON totals.origin = pairs.origin
JOIN item_supports AS one ON one.origin = pairs.origin AND one.number = pairs.first
JOIN item_supports AS other ON other.origin = pairs.origin AND other.number = pairs.second
JOIN catalogue AS one_product ON one_product.number = pairs.first
JOIN catalogue AS other_product ON other_product.number = pairs.second
WHERE pairs.support >= $clicked_support OR pairs.origin = 'related'
