-- confounded: one row per entity: the most confounded ones of each group, with the groups that they are tagged in.
-- Source: semantic_prior.
-- Parameters: $dataset, $shown.
SELECT
    entity,
    list(entity_group ORDER BY prior DESC, entity_group) AS groups,
    list(prior ORDER BY prior DESC, entity_group) AS priors,
    sum(tagged_count) AS tagged,
    any_value(untagged_mentions) AS untagged
FROM semantic_prior
WHERE dataset = $dataset
GROUP BY entity
HAVING untagged > 0
QUALIFY row_number() OVER (PARTITION BY groups[1] ORDER BY untagged DESC, tagged, entity) <= $shown
ORDER BY groups[1], untagged DESC, tagged, entity
