-- item_supports: one row per origin and product: in how many sessions it is, of those that make pairs.
-- Source: sessions.
-- Parameters: $most_items (a session with more is a crawler's).
-- support: sessions with the product
SELECT origin, number, count(*) AS support
FROM (SELECT origin, unnest(items) AS number FROM sessions WHERE len(items) BETWEEN 2 AND $most_items)
GROUP BY origin, number
