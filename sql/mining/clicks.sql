-- clicks: one row per row of click_log and of related_items, with its products' numbers.
-- Source: session_clicks (click_log, or the visits in it), related_items, catalogue.
-- session: session of the click; of a row without one: the row itself
-- number: number of the product clicked
-- trigger_number: number of the product shown; empty in a log of sessions
-- is_known: whether every product is in the catalogue
-- is_training: whether every product is of the training split
WITH stated AS (
    SELECT 'log' AS origin, coalesce(session, source || ' ' || "row") AS session, item, "trigger"
    FROM session_clicks
    UNION ALL
    SELECT 'related', (row_number() OVER ())::VARCHAR, related_id, product_id
    FROM (SELECT DISTINCT product_id, related_id, kind FROM related_items)
)
SELECT
    stated.origin,
    stated.session,
    clicked.number,
    shown.number AS trigger_number,
    clicked.number IS NOT NULL AND (stated."trigger" IS NULL OR shown.number IS NOT NULL) AS is_known,
    coalesce(clicked.is_training AND (stated."trigger" IS NULL OR shown.is_training), false) AS is_training
FROM stated
LEFT JOIN catalogue AS clicked ON clicked.product_id = stated.item
LEFT JOIN catalogue AS shown ON shown.product_id = stated."trigger"
