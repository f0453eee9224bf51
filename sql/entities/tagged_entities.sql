-- tagged_entities: one row per product, entity group and entity of it in the raw data; a missing entity has no row.
-- Source: listings, products. Of several rows of a product the first that has entities of the group counts.
-- Parameters: $groups, the entity groups of the dataset.
WITH counted AS (
    SELECT product_id, count(*) AS row_count
    FROM listings
    GROUP BY product_id
),
wanted AS (
    SELECT products.dataset, product_id, products.split, counted.row_count
    FROM products
    JOIN counted USING (product_id)
),
tags AS (
    SELECT dataset, product_id, split, row_count, source, place, key AS entity_group, value AS entities
    FROM (
        SELECT wanted.*, source, place, unnest(map_entries(entities), recursive := true)
        FROM listings
        JOIN wanted USING (product_id)
    )
    WHERE value[1] <> '' AND key IN (SELECT unnest($groups))  -- Amazon's records have an empty text for none
),
-- Most products of most catalogues have one row, whose entities need no choice.
chosen AS (
    SELECT dataset, product_id, split, entity_group, entities
    FROM tags
    WHERE row_count = 1
    UNION ALL
    SELECT dataset, product_id, split, entity_group, min_by(entities, row(source, place)) AS entities
    FROM tags
    WHERE row_count > 1
    GROUP BY dataset, product_id, split, entity_group
)
SELECT
    dataset,
    product_id,
    split,
    entity_group,
    unnest(entities) AS entity,
    generate_subscripts(entities, 1) AS ordinal
FROM chosen
ORDER BY product_id, entity_group, ordinal
