-- shard_samples: one row per photo of a part, as it goes into the shards, in the raw order.
-- Source: images, products, tagged_entities; photos of excluded products stay outside.
-- Parameters: $part.
-- entity_groups: the groups of its entities
-- entities: its entities of each, in step with entity_groups
WITH groups AS (
    SELECT product_id, entity_group, list(entity ORDER BY ordinal) AS entities
    FROM tagged_entities
    GROUP BY product_id, entity_group
),
tags AS (
    SELECT
        product_id,
        list(entity_group ORDER BY entity_group) AS entity_groups,
        list(entities ORDER BY entity_group) AS entities
    FROM groups
    GROUP BY product_id
)
SELECT
    images.image_id,
    images.product_id,
    images.split,
    images.photo,
    images.photo_sha256,
    products.description,
    coalesce(tags.entity_groups, []) AS entity_groups,
    coalesce(tags.entities, []) AS entities
FROM images
JOIN products USING (dataset, product_id)
LEFT JOIN tags USING (product_id)
WHERE images.split <> 'excluded' AND images.part = $part
ORDER BY images.source, images.place
