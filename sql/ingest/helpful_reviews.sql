-- helpful_reviews: one row per product that somebody found a review of helpful.
-- Source: reviews.
-- Parameters: $count (reviews a product), $characters (of each text kept).
-- review_text: the texts of the most helpful reviews, the most helpful first
WITH unescaped AS (
    SELECT
        *,
        -- Cut first, so that hostile lengths cost nothing; markup takes at most as much again. These are the references
        -- that the shop's own reviews hold; `&amp;` last, so that none is made of what it leaves.
        replace(replace(replace(replace(replace(replace(replace(
            left(text, 2 * $characters),
            '&#34;', '"'), '&quot;', '"'), '&#39;', chr(39)), '&lt;', '<'), '&gt;', '>'), '&nbsp;', ' '), '&amp;', '&'
        ) AS plain
    FROM reviews
    WHERE helpful > 0
),
cleaned AS (
    SELECT
        * EXCLUDE (text, plain),
        trim(regexp_replace(
            regexp_replace(plain, '</?[a-zA-Z][^<>]*>|[\x00-\x20\x7f\x{a0}]', ' ', 'g'),
            ' {2,}', ' ', 'g'
        )) AS text
    FROM unescaped
),
ranked AS (
    SELECT
        dataset,
        product_id,
        trim(left(text, $characters)) AS text,
        row_number() OVER (
            PARTITION BY dataset, product_id
            ORDER BY helpful DESC, time DESC NULLS LAST, source, place
        ) AS place
    FROM cleaned
    WHERE text <> ''
)
SELECT dataset, product_id, string_agg(text, ' ' ORDER BY place) AS review_text
FROM ranked
WHERE place <= $count
GROUP BY dataset, product_id
ORDER BY dataset, product_id
