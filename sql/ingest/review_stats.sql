-- review_stats: one row per product that has reviews.
-- Columns: dataset, product_id, review_count, mean_rating (1 to 5), helpful_votes (of all its reviews).
-- Source: reviews.
SELECT
    dataset,
    product_id,
    count(*) AS review_count,
    avg(rating) AS mean_rating,
    sum(helpful)::BIGINT AS helpful_votes
FROM reviews
GROUP BY dataset, product_id
ORDER BY dataset, product_id
