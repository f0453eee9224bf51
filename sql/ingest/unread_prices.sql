-- unread_prices: one row per text of a price that could not be read, the most frequent ones.
-- Source: records.
-- Parameters: $shown (rows).
-- price_unread: the text
-- rows: number of its rows
-- unread: number of rows whose price could not be read
-- given: number of rows that say something of a price
SELECT
    price_unread,
    count(*) AS rows,
    (SELECT count(price_unread) FROM records) AS unread,
    (SELECT count(price_unread) + count(price) FROM records) AS given
FROM records
WHERE price_unread IS NOT NULL
GROUP BY price_unread
ORDER BY rows DESC, price_unread
LIMIT $shown
