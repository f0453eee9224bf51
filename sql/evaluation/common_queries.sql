-- common_queries: one row per common kind, brand + kind or colour + kind of product, and product that has it.
-- Source: products, product_entities; of one dataset.
-- Parameters: $split (products of this split alone, or 'all'), $brand_group, $minimum (products that a query needs).
-- A kind is an entity of the group subcategory; where no product has one, the column subcategory, else category.
-- kind: subcategory | brand and subcategory | colour and subcategory
-- query: what a buyer could type: brand or colour, then the kind
WITH of_split AS (
    SELECT product_id, subcategory, category
    FROM products
    WHERE $split IN ('all', split)
),
tags AS (
    SELECT product_id, entity_group, entity
    FROM product_entities
    JOIN of_split USING (product_id)
),
columns_used AS (
    SELECT
        product_id,
        CASE WHEN count(nullif(subcategory, '')) OVER () > 0 THEN subcategory ELSE category END AS name
    FROM of_split
),
kinds AS (
    SELECT product_id, entity AS name
    FROM tags
    WHERE entity_group = 'subcategory'
    UNION ALL
    SELECT product_id, lower(trim(name)) AS name
    FROM columns_used
    WHERE trim(name) <> '' AND NOT EXISTS (FROM tags WHERE entity_group = 'subcategory')
),
worded AS (
    SELECT 'subcategory' AS kind, name AS query, product_id
    FROM kinds
    UNION ALL
    SELECT 'brand and subcategory' AS kind, entity || ' ' || name AS query, product_id
    FROM tags
    JOIN kinds USING (product_id)
    WHERE entity_group = $brand_group AND entity <> name  -- where the makers are not known, the first group is a kind
    UNION ALL
    SELECT 'colour and subcategory' AS kind, entity || ' ' || name AS query, product_id
    FROM tags
    JOIN kinds USING (product_id)
    WHERE entity_group IN ('colour', 'color') AND entity_group <> $brand_group
)
SELECT DISTINCT kind, query, product_id
FROM worded
QUALIFY count(DISTINCT product_id) OVER (PARTITION BY kind, query) >= $minimum
ORDER BY ALL
