-- shard_samples: one row per photo, as it goes into the shards, in the raw order.
-- Columns: image_id, product_id, split, photo, description, entity_groups, entities (two lists in step).
-- Source: images, products, tagged_entities.
WITH tags AS (
    SELECT
        product_id,
        list(entity_group ORDER BY entity_group) AS entity_groups,
        list(entity ORDER BY entity_group) AS entities
    FROM tagged_entities
    GROUP BY product_id
)
SELECT
    images.image_id,
    images.product_id,
    images.split,
    images.photo,
    products.description,
    coalesce(tags.entity_groups, []) AS entity_groups,
    coalesce(tags.entities, []) AS entities
FROM images
JOIN products USING (dataset, product_id)
LEFT JOIN tags USING (product_id)
ORDER BY images.source, split_part(images.locator, ' ', 2)::BIGINT, images.image_id
