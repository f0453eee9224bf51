-- unread_texts: one row per kind of text (prices, availability, links) of which some could not be read.
-- Source: records.
-- Parameters: $shown (texts).
-- what: what the text was to say
-- unread: number of rows whose text could not be read
-- given: number of rows that have a text
-- texts: STRUCT(text, rows)[], the most frequent of the unread ones
WITH given AS (
    SELECT 'prices' AS what, price_unread AS text, price IS NOT NULL AS is_read FROM records
    UNION ALL
    SELECT 'availability', available_unread, available IS NOT NULL FROM records
    UNION ALL
    SELECT 'links', link_unread, link IS NOT NULL FROM records
),
counted AS (
    SELECT what, text, count(*) AS rows
    FROM given
    WHERE text IS NOT NULL OR is_read
    GROUP BY what, text
)
SELECT
    what,
    sum(rows) FILTER (WHERE text IS NOT NULL)::BIGINT AS unread,
    sum(rows)::BIGINT AS given,
    (list({'text': text, 'rows': rows} ORDER BY rows DESC, text) FILTER (WHERE text IS NOT NULL))[:$shown] AS texts
FROM counted
GROUP BY what
HAVING unread > 0
ORDER BY what DESC
