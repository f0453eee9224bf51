-- profile_prices: one row per dataset: how many raw rows have a price, and the most frequent texts that could not be
--   read as one.
-- Source: records.
-- Parameters: $dataset, $shown (texts).
-- rows: number of usable raw rows
-- priced: number of those with a price
-- unread: number of those whose text of a price could not be read, or is in another currency; they have no price
-- lowest: the lowest price
-- median: the median price
-- highest: the highest price
-- unread_texts: STRUCT(text, rows)[], the most frequent of those texts
WITH texts AS (
    SELECT price_unread AS text, count(*) AS rows
    FROM listings
    WHERE price_unread IS NOT NULL
    GROUP BY price_unread
    ORDER BY rows DESC, text
    LIMIT $shown
)
SELECT
    $dataset AS dataset,
    count(*) AS rows,
    count(price) AS priced,
    count(price_unread) AS unread,
    min(price) AS lowest,
    median(price) AS median,
    max(price) AS highest,
    coalesce((SELECT list({'text': text, 'rows': rows} ORDER BY rows DESC, text) FROM texts), []) AS unread_texts
FROM listings
