-- most_confounded: one row per entity: the most confounded ones of each group.
-- Source: profile_confounded.
-- Parameters: $dataset, $shown.
SELECT entity, entity_group, tagged_count, untagged_mentions
FROM profile_confounded
WHERE dataset = $dataset
QUALIFY row_number() OVER (PARTITION BY entity_group ORDER BY untagged_mentions DESC, tagged_count, entity) <= $shown
ORDER BY entity_group, untagged_mentions DESC, tagged_count, entity
