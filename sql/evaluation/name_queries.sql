-- name_queries: one row per name of a product of a split, and product of the catalogue that has exactly that name.
-- Source: products; of one dataset.
-- Parameters: $split (whose names are asked for), $among (the split whose products are relevant, or 'all').
-- query: the name (title)
SELECT title AS query, product_id
FROM products
WHERE $among IN ('all', split)
    AND title IN (SELECT title FROM products WHERE split = $split AND trim(title) <> '')
ORDER BY ALL
