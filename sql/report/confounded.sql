-- confounded: one row per entity: the most confounded ones of each group, with the groups they are tagged in
--   (of several: their semantic prior).
-- Source: semantic_prior.
-- Parameters: $dataset, $shown.
SELECT
    entity,
    first(entity_group ORDER BY prior DESC, entity_group) AS first_group,
    if(
        count(*) = 1,
        any_value(entity_group),
        string_agg(printf('%s %.0f %%', entity_group, 100 * prior), ', ' ORDER BY prior DESC, entity_group)
    ) AS tagged_as,
    sum(tagged_count) AS tagged,
    any_value(untagged_mentions) AS untagged
FROM semantic_prior
WHERE dataset = $dataset
GROUP BY entity
HAVING untagged > 0
QUALIFY row_number() OVER (PARTITION BY first_group ORDER BY untagged DESC, tagged, entity) <= $shown
ORDER BY first_group, untagged DESC, tagged, entity
