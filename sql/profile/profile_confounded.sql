-- profile_confounded: one row per entity and group whose words descriptions use without the tag, the most so first.
-- Source: semantic_prior, thus training products alone.
-- Parameters: $most (rows a group: those of the most untagged mentions).
-- ratio: untagged mentions per tagged product
SELECT
    dataset,
    entity,
    entity_group,
    tagged_count,
    untagged_mentions,
    untagged_mentions / tagged_count AS ratio
FROM semantic_prior
WHERE untagged_mentions > 0
QUALIFY row_number() OVER (
    PARTITION BY entity_group
    ORDER BY untagged_mentions DESC, tagged_count, entity
) <= $most
ORDER BY entity_group, untagged_mentions DESC, tagged_count, entity
