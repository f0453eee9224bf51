-- spelling_counts: one row per entity group and way to write an entity of it.
-- Source: listings.
-- spelling: the entity as the raw rows write it, in lower case
-- rows: raw rows that write it so
SELECT entity_group, spelling, count(*) AS rows
FROM (
    SELECT key AS entity_group, unnest(value) AS spelling
    FROM (SELECT unnest(map_entries(entities), recursive := true) FROM listings)
)
WHERE spelling <> ''  -- Amazon's records have an empty text for none
GROUP BY entity_group, spelling
ORDER BY entity_group, rows DESC, spelling
