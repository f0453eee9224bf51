-- semantic_prior: one row per entity and group (its semantics b) in which training products tag it.
-- Columns: dataset, entity, entity_group, tagged_count, untagged_mentions, prior.
-- Source: tagged_entities, products; training products only.
-- Parameters: $dataset.
-- prior is P(z = g(a, b)) of the paper's equation 2: the share of the entity's tagged occurrences that are of this group.
-- untagged_mentions counts training descriptions that contain the entity's words while the product is not tagged with
-- it: how confounded the words are, never part of the prior. Entities of more than six words are not looked for.
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
entities AS (
    SELECT
        entity,
        trim(regexp_replace(lower(entity), '[^\p{L}\p{N}]+', ' ', 'g')) AS phrase,
        len(string_split(phrase, ' ')) AS words
    FROM counted
    GROUP BY entity
),
descriptions AS (
    SELECT
        product_id,
        string_split(trim(regexp_replace(lower(description), '[^\p{L}\p{N}]+', ' ', 'g')), ' ') AS words
    FROM products
    WHERE split = 'train'
),
-- Every run of words of a description that is as long as some entity: joining these to the entities grows with the
-- text, where looking each entity up in each description grows with the product of both.
lengths AS (
    SELECT DISTINCT words AS length FROM entities WHERE words <= 6
),
runs AS (
    SELECT DISTINCT
        product_id,
        array_to_string(list_slice(words, start, start + length - 1), ' ') AS phrase
    FROM (
        SELECT product_id, words, length, unnest(range(1, len(words) - length + 2)) AS start
        FROM descriptions, lengths
    )
),
mentioned AS (
    SELECT entities.entity, count(*) AS untagged_mentions
    FROM runs
    JOIN entities USING (phrase)
    WHERE entities.phrase <> ''
        AND NOT EXISTS (
            FROM tagged
            WHERE tagged.product_id = runs.product_id AND tagged.entity = entities.entity
        )
    GROUP BY entities.entity
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
