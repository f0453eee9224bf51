-- refused_reviews: one row per line of a file of reviews that is not used, those of repeated ones among them.
-- Columns are those of `review_rejections`.
-- Source: rejected, repeated, reviews.
SELECT * FROM rejected
UNION ALL BY NAME
SELECT
    reviews.dataset,
    reviews.source,
    reviews.place,
    reviews.product_id,
    'duplicate review: of line ' || repeated.first_place AS reason
FROM reviews
JOIN repeated USING (place)
ORDER BY place
