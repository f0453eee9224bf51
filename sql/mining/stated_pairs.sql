-- stated_pairs: one row per two products of clicks that say what was shown: rows of pair_supports.
-- The two of one click alone are a pair, whatever else its session holds.
-- Source: sessions, clicks.
-- Parameters: $most_items (a session with more is a crawler's).
-- support: sessions with such a click
WITH stated AS (
    SELECT DISTINCT
        origin,
        session,
        least(number, trigger_number) AS first,
        greatest(number, trigger_number) AS second
    FROM clicks
    SEMI JOIN (FROM sessions WHERE len(items) BETWEEN 2 AND $most_items) AS kept USING (origin, session)
    WHERE is_training AND number <> trigger_number
)
SELECT origin, first, second, count(*) AS support
FROM stated
GROUP BY origin, first, second
