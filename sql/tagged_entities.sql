-- tagged_entities: one row per product and entity group that the raw data fill; a missing entity has no row.
-- Columns: dataset, product_id, split, entity_group, entity.
-- Source: catalog, products.
-- Parameters: $groups, the entity groups of the dataset.
WITH tags AS (
    SELECT
        dataset,
        product_id,
        split_part(locator, ' ', 2)::BIGINT AS place,
        unnest(map_entries(entities), recursive := true)
    FROM catalog
)
SELECT
    tags.dataset,
    tags.product_id,
    products.split,
    tags.key AS entity_group,
    min_by(tags.value, tags.place) AS entity
FROM tags
JOIN products USING (dataset, product_id)
WHERE tags.key IN (SELECT unnest($groups)) AND tags.value <> ''
GROUP BY ALL
ORDER BY tags.product_id, entity_group
