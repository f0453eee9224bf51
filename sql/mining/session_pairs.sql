-- session_pairs: one row per two products of a log of sessions, and in how many sessions both are: rows of
--   pair_supports.
-- Source: sessions.
-- Parameters: $most_items (a session with more is a crawler's).
-- origin: 'log'
WITH places AS (
    SELECT items, unnest(items) AS first, generate_subscripts(items, 1) AS place
    FROM sessions
    WHERE origin = 'log' AND len(items) BETWEEN 2 AND $most_items
)
-- To group by one number made of both takes two thirds of the time.
SELECT 'log' AS origin, (pair >> 32)::INTEGER AS first, (pair & 4294967295)::INTEGER AS second, count(*) AS support
FROM (SELECT (first::BIGINT << 32) + unnest(items[place + 1:]) AS pair FROM places)
GROUP BY pair
