-- repeated_reviews: one row per review that the file holds before: same user, product, rating, texts and time.
-- A review of a product that is sold in several variants is listed with each of them.
-- One whose user is not known is never taken for another's.
-- Source: review_digests.
-- first_place: line of the first one
WITH repeated AS (
    SELECT high, low, min(place) AS first_place
    FROM review_digests
    WHERE high IS NOT NULL
    GROUP BY high, low
    HAVING count(*) > 1
)
SELECT review_digests.place, repeated.first_place
FROM review_digests
JOIN repeated USING (high, low)
WHERE review_digests.place <> repeated.first_place
ORDER BY review_digests.place
