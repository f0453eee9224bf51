-- tagged_entities: one row per product and entity group that the raw data fill; a missing entity has no row.
-- Columns: dataset, product_id, split, entity_group, entity.
-- Source: listings, products. Of several rows of a product the first that has an entity of the group speaks for it.
-- Parameters: $groups, the entity groups of the dataset.
WITH tags AS (
    SELECT product_id, source, place, unnest(map_entries(entities), recursive := true)
    FROM listings
),
wanted AS (
    SELECT product_id, source, place, key AS entity_group, value AS entity
    FROM tags
    WHERE value <> '' AND key IN (SELECT unnest($groups))
)
SELECT
    products.dataset,
    wanted.product_id,
    products.split,
    wanted.entity_group,
    min_by(wanted.entity, row(wanted.source, wanted.place)) AS entity
FROM wanted
JOIN products USING (product_id)
GROUP BY ALL
ORDER BY wanted.product_id, wanted.entity_group
