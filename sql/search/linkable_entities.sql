-- linkable_entities: one row per entity that has an embedding of its own: what typed words can be linked to.
-- Source: entity_vocabulary, semantic_prior; of one dataset.
-- Parameters: $groups, the entity groups to link.
-- groups: its groups, the likeliest by the semantic prior first
-- tagged: training products tagged with it, in any group
-- untagged: training descriptions with its words and without the tag
SELECT
    entity,
    list(entity_group ORDER BY prior DESC, entity_group) AS groups,
    sum(tagged_count)::BIGINT AS tagged,
    max(untagged_mentions)::BIGINT AS untagged
FROM entity_vocabulary
JOIN semantic_prior USING (dataset, entity_group, entity)
WHERE entity_group IN (SELECT unnest($groups))
GROUP BY entity
ORDER BY entity
