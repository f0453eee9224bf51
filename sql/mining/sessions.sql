-- sessions: one row per session with a training product (of clicks without a session: one row per click).
-- Source: clicks.
-- items: numbers of its products, each once, in order
WITH items AS NOT MATERIALIZED (
    SELECT origin, session, number FROM clicks WHERE is_training
    UNION ALL
    SELECT origin, session, trigger_number FROM clicks WHERE is_training AND trigger_number IS NOT NULL
)
-- Each origin by itself: one text less to group by.
SELECT 'log' AS origin, session, list_sort(list_distinct(list(number))) AS items
FROM items
WHERE origin = 'log'
GROUP BY session
UNION ALL
SELECT 'related', session, list_sort(list_distinct(list(number)))
FROM items
WHERE origin = 'related'
GROUP BY session
