-- similar_products: one row per product near to a given one: the $top nearest, best first.
-- Source: product_views, products (of any datasets: the catalogue's views, or a dataset's files).
-- Parameters: $dataset, $variant, $product_id, $query_view and $view (image | text | joint: of the given product,
--   and of those found), $top.
-- similarity: cosine, -1 to 1
WITH viewed AS (
    SELECT
        dataset,
        product_id,
        -- Vectors have length one, so that their inner product is their cosine.
        CASE $query_view WHEN 'image' THEN image WHEN 'text' THEN text WHEN 'joint' THEN joint END AS query,
        CASE $view WHEN 'image' THEN image WHEN 'text' THEN text WHEN 'joint' THEN joint END AS candidate
    FROM product_views
    WHERE dataset = $dataset AND variant = $variant
),
asked AS (
    SELECT query
    FROM viewed
    WHERE product_id = $product_id
)
SELECT
    viewed.product_id,
    list_inner_product(asked.query, viewed.candidate) AS similarity,
    products.title,
    products.description,
    products.category,
    products.price
FROM viewed
CROSS JOIN asked
JOIN products USING (dataset, product_id)
WHERE viewed.product_id <> $product_id
ORDER BY similarity DESC, viewed.product_id
LIMIT $top
