-- typed_queries: one row per product of a split that has an entity of the group: what a buyer of it could type.
-- Source: products, product_entities; of one dataset.
-- Parameters: $split, $group.
-- entity: the entity of the group, normalised; of several the first
-- text: the description with the entity's words in front or behind, by a draw of the product's id
WITH groups AS (
    SELECT product_id, entity_group, list(entity ORDER BY ordinal) AS entities
    FROM product_entities
    GROUP BY product_id, entity_group
),
tags AS (
    SELECT
        product_id,
        map_from_entries(list((entity_group, entities) ORDER BY entity_group)) AS entities,
        any_value(entities[1]) FILTER (entity_group = $group) AS entity
    FROM groups
    GROUP BY product_id
)
SELECT
    product_id,
    tags.entity,
    tags.entities,
    products.description,
    CASE
        WHEN md5_number_lower('typed:' || product_id) % 2 = 0 THEN tags.entity || ' ' || products.description
        ELSE products.description || ' ' || tags.entity
    END AS text
FROM products
JOIN tags USING (product_id)
WHERE products.split = $split AND tags.entity IS NOT NULL
ORDER BY product_id
