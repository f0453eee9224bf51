-- linkable_entities: one row per entity that has an embedding of its own: what typed words can be linked to.
-- Source: entity_vocabulary, semantic_prior, entity_spellings; of one dataset.
-- Parameters: $groups, the entity groups to link.
-- groups: its groups, the likeliest by the semantic prior first
-- tagged: training products tagged with it, in any group
-- spellings: other ways to write it, of most rows first
-- untagged: training descriptions with its words and without the tag
WITH others AS (
    SELECT entity, list(spelling ORDER BY rows DESC, spelling) AS spellings
    FROM (
        SELECT entity, spelling, sum(rows) AS rows
        FROM entity_spellings
        WHERE entity_group IN (SELECT unnest($groups)) AND spelling <> entity
        GROUP BY entity, spelling
    )
    GROUP BY entity
)
SELECT
    entity,
    list(entity_group ORDER BY prior DESC, entity_group) AS groups,
    sum(tagged_count)::BIGINT AS tagged,
    max(untagged_mentions)::BIGINT AS untagged,
    coalesce(any_value(spellings), []) AS spellings
FROM entity_vocabulary
JOIN semantic_prior USING (dataset, entity_group, entity)
LEFT JOIN others USING (entity)
WHERE entity_group IN (SELECT unnest($groups))
GROUP BY entity
ORDER BY entity
