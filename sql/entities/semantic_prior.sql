-- semantic_prior: one row per entity and group (its semantics b) in which training products tag it.
-- Source: tagged_entities, products; training products only.
-- Parameters: $dataset.
-- prior is P(z = g(a, b)) of the paper's equation 2: the share of the entity's tagged occurrences that are of this
-- group. untagged_mentions counts training descriptions that contain the entity's words while the product is not
-- tagged with it, which tells how confounded the words are and is never part of the prior. Entities of more than six
-- words are not looked for.
-- prior: P(z = g(a, b)) of the paper's equation 2: the share of the entity's tagged occurrences that are of this
--   group
WITH tagged AS (
    SELECT product_id, entity_group, entity
    FROM tagged_entities
    WHERE split = 'train'
),
counted AS (
    SELECT entity, entity_group, count(*) AS tagged_count
    FROM tagged
    GROUP BY ALL
),
phrases AS (
    SELECT entity, trim(regexp_replace(lower(entity), '[^\p{L}\p{N}]+', ' ', 'g')) AS phrase
    FROM counted
    GROUP BY entity
),
entity_words AS (
    SELECT entity, phrase, unnest(string_split(phrase, ' ')) AS word
    FROM phrases
    WHERE phrase <> '' AND len(string_split(phrase, ' ')) <= 6
),
-- An entity is looked for where its most telling word stands, the one that fewest entities have (the longest of those):
-- one join by word grows with the text, where looking each entity up in each description grows with the product of
-- both.
telling AS (
    SELECT entity, ' ' || phrase || ' ' AS phrase, arg_min(word, row(sharing, -length(word), word)) AS word, count(*) AS words
    FROM (SELECT *, count(*) OVER (PARTITION BY word) AS sharing FROM entity_words)
    GROUP BY ALL
),
-- Through one list, since DuckDB then takes them for few, as they are, and keeps them in memory instead of the words.
entities AS (
    SELECT unnest(list(telling), recursive := true)
    FROM telling
),
descriptions AS (
    SELECT product_id, trim(regexp_replace(lower(description), '[^\p{L}\p{N}]+', ' ', 'g')) AS text
    FROM products
    WHERE split = 'train'
),
description_words AS (
    SELECT product_id, ' ' || text || ' ' AS text, unnest(string_split(text, ' ')) AS word
    FROM descriptions
),
mentions AS (
    SELECT description_words.product_id, entities.entity
    FROM description_words
    JOIN entities USING (word)
    WHERE entities.words = 1 OR contains(description_words.text, entities.phrase)
),
mentioned AS (
    SELECT entity, count(DISTINCT product_id) AS untagged_mentions
    FROM mentions
    ANTI JOIN tagged USING (product_id, entity)
    GROUP BY entity
)
SELECT
    $dataset AS dataset,
    counted.entity,
    counted.entity_group,
    counted.tagged_count,
    coalesce(mentioned.untagged_mentions, 0) AS untagged_mentions,
    counted.tagged_count / sum(counted.tagged_count) OVER (PARTITION BY counted.entity) AS prior
FROM counted
LEFT JOIN mentioned USING (entity)
ORDER BY counted.entity, counted.entity_group
