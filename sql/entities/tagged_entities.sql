-- tagged_entities: one row per product, entity group and entity of it in the raw data; a missing entity has no row.
-- Source: listings, products, entity_spellings. Of several rows of a product the first that has entities of the group
--   counts.
-- Parameters: $groups, the entity groups of the dataset.
-- entity: its one name, whatever the spelling
-- ordinal: its place among the product's entities of the group, from 1
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
    SELECT dataset, product_id, split, row_count, source, place, key AS entity_group, value AS spellings
    FROM (
        SELECT wanted.*, source, place, unnest(map_entries(entities), recursive := true)
        FROM listings
        JOIN wanted USING (product_id)
    )
    WHERE value[1] <> '' AND key IN (SELECT unnest($groups))  -- Amazon's records have an empty text for none
),
spelled AS (
    SELECT
        * EXCLUDE (spellings),
        len(spellings) AS spelling_count,
        unnest(spellings) AS spelling,
        generate_subscripts(spellings, 1) AS number
    FROM tags
),
named AS (
    SELECT spelled.*, entity_spellings.entity
    FROM spelled
    JOIN entity_spellings USING (entity_group, spelling)
    WHERE entity_spellings.entity <> ''
),
-- Most products of most catalogues have one row with one entity, which needs no choice.
plain AS (
    SELECT dataset, product_id, split, entity_group, entity, 1 AS ordinal
    FROM named
    WHERE row_count = 1 AND spelling_count = 1
),
first_rows AS (
    SELECT *
    FROM named
    WHERE row_count > 1 OR spelling_count > 1
    QUALIFY row(source, place) = min(row(source, place)) OVER (PARTITION BY product_id, entity_group)
),
chosen AS (
    SELECT
        dataset,
        product_id,
        split,
        entity_group,
        entity,
        row_number() OVER (PARTITION BY product_id, entity_group ORDER BY min(number)) AS ordinal
    FROM first_rows
    GROUP BY dataset, product_id, split, entity_group, entity
)
FROM plain
UNION ALL
FROM chosen
ORDER BY product_id, entity_group, ordinal
