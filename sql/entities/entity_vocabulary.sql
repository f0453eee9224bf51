-- entity_vocabulary: one row per entity group and entity that has an embedding of its own, and one `<unk>` a group.
-- Source: tagged_entities, training products only.
-- Parameters: $dataset, $groups, $minimum (an entity of fewer training products maps to `<unk>`, so that it is
--   trained).
-- entity_id: number of the entity, dense from 0 within the group; 0 is `<unk>`
-- product_count: training products that train its embedding
WITH counted AS (
    SELECT entity_group, entity, count(*) AS product_count
    FROM tagged_entities
    WHERE split = 'train'
    GROUP BY ALL
),
known AS (
    SELECT
        entity_group,
        row_number() OVER (PARTITION BY entity_group ORDER BY product_count DESC, entity) AS entity_id,
        entity,
        product_count
    FROM counted
    WHERE product_count >= $minimum AND entity <> '<unk>'  -- a brand of that name is as good as unknown
),
unknown AS (
    SELECT entity_group, 0 AS entity_id, '<unk>' AS entity, count(DISTINCT product_id) AS product_count
    FROM (SELECT unnest($groups) AS entity_group)
    LEFT JOIN (
        SELECT entity_group, product_id
        FROM tagged_entities
        SEMI JOIN (FROM counted WHERE product_count < $minimum) USING (entity_group, entity)
        WHERE split = 'train'
    ) USING (entity_group)
    GROUP BY entity_group
)
SELECT $dataset AS dataset, entity_group, entity_id, entity, product_count
FROM (FROM unknown UNION ALL FROM known)
ORDER BY entity_group, entity_id
