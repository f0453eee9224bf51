-- phrase_uses: one row per phrase that a training product has in its title or description.
-- Source: products, product_entities; of one dataset.
-- Parameters: $phrases, as texts' words are keyed (lower case, no accents, single spaces), and $entities, what each may
--   mean.
-- tagged: training products that have the phrase and are tagged with the entity
-- untagged: those that have the phrase alone
WITH asked AS (
    SELECT phrase, entity, string_split(phrase, ' ')[1] AS word
    FROM (SELECT unnest($phrases) AS phrase, unnest($entities) AS entity)
),
texts AS (
    SELECT
        product_id,
        trim(
            regexp_replace(
                strip_accents(lower(concat_ws(' ', title, description))), '[^\p{L}\p{M}\p{N}]+', ' ', 'g'
            )
        ) AS text
    FROM products
    WHERE split = 'train'
),
words AS (
    SELECT product_id, text, unnest(list_distinct(string_split(text, ' '))) AS word
    FROM texts
),
mentions AS (
    SELECT words.product_id, asked.phrase, asked.entity
    FROM words
    JOIN asked USING (word)
    WHERE contains(' ' || words.text || ' ', ' ' || asked.phrase || ' ')
),
tags AS (
    SELECT DISTINCT product_id, entity
    FROM product_entities
)
SELECT phrase, count(tags.entity) AS tagged, count(*) - count(tags.entity) AS untagged
FROM mentions
LEFT JOIN tags ON tags.product_id = mentions.product_id AND tags.entity = mentions.entity
GROUP BY phrase
ORDER BY phrase
