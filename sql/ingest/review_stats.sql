-- review_stats: one row per product that has reviews.
-- Source: reviews.
-- mean_rating: mean of the stars, 1 to 5
-- helpful_votes: readers who found one of its reviews helpful
SELECT
    dataset,
    product_id,
    count(*) AS review_count,
    avg(rating) AS mean_rating,
    sum(helpful)::BIGINT AS helpful_votes
FROM reviews
GROUP BY dataset, product_id
ORDER BY dataset, product_id
