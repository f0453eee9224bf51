-- profile_placeholders: one row per text that names nothing and where it stands: as an entity, or alone on a line of
--   text.
-- Source: entity_spellings, listings.
-- Parameters: $placeholders, in lower case; $template, the pattern of a variable that was never filled in.
-- field: the entity group, or text: a title or a line of a description
-- rows: raw rows that have it
WITH lines AS (
    SELECT dataset, lower(trim(unnest(string_split(description_raw, chr(10))))) AS text
    FROM listings
)
SELECT dataset, entity_group AS field, spelling AS text, rows
FROM entity_spellings
WHERE entity = ''
UNION ALL
SELECT dataset, 'text' AS field, text, count(*) AS rows
FROM lines
WHERE text IN (SELECT unnest($placeholders)) OR regexp_full_match(text, $template)
GROUP BY dataset, text
ORDER BY rows DESC, field, text
