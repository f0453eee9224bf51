-- conflicting_ids: one row per product id whose raw rows differ in title, tags or price: several products may share it.
-- Source: records, entity_spellings.
-- An empty title, a group without a tag and an absent price say nothing: rows that only bring a further photo are no
-- conflict.
-- rows: number of its usable raw rows
-- differs: what differs: title, price, and entity groups by their names
-- first_title: the first of its titles, in the order of the alphabet
-- last_title: the last of them
-- first_place: where its first row is: the raw file and the row or line in it
-- last_place: where its last row is
WITH shared AS (
    SELECT product_id
    FROM listings
    GROUP BY product_id
    HAVING count(*) > 1
),
several AS (
    SELECT
        product_id,
        min(dataset) AS dataset,
        count(*) AS rows,
        min(nullif(title, '')) AS first_title,
        max(nullif(title, '')) AS last_title,
        min(price) < max(price) AS price_differs,
        min(row(source, place)) AS first_row,
        max(row(source, place)) AS last_row
    FROM listings
    SEMI JOIN shared USING (product_id)
    GROUP BY product_id
),
tags AS (
    SELECT product_id, source, place, unnest(map_entries(entities), recursive := true)
    FROM listings
    SEMI JOIN shared USING (product_id)
),
spelled AS (
    SELECT product_id, source, place, key AS entity_group, unnest(value) AS spelling
    FROM tags
),
named AS (
    SELECT product_id, source, place, entity_group, list_sort(list(DISTINCT entity)) AS entities
    FROM spelled
    JOIN entity_spellings USING (entity_group, spelling)
    WHERE entity <> ''
    GROUP BY product_id, source, place, entity_group
),
differing AS (
    SELECT product_id, entity_group
    FROM named
    GROUP BY product_id, entity_group
    HAVING min(entities) < max(entities)
),
grouped AS (
    SELECT product_id, list(entity_group ORDER BY entity_group) AS entity_groups
    FROM differing
    GROUP BY product_id
),
found AS (
    SELECT
        several.*,
        list_concat(
            CASE WHEN first_title < last_title THEN ['title'] ELSE [] END,
            CASE WHEN price_differs THEN ['price'] ELSE [] END,
            coalesce(entity_groups, [])
        ) AS differs
    FROM several
    LEFT JOIN grouped USING (product_id)
)
SELECT
    dataset,
    product_id,
    rows,
    differs,
    first_title,
    last_title,
    first_row[1] || ' ' || first_row[2] AS first_place,
    last_row[1] || ' ' || last_row[2] AS last_place
FROM found
WHERE len(differs) > 0
ORDER BY rows DESC, product_id
