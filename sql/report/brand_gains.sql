-- brand_gains: one row per entity of the makers' group: mean gain of row 5 over both directions, and how confounded its
--   words are.
-- Source: recall_breakdowns, semantic_prior.
-- Parameters: $dataset, $minimum.
SELECT value, avg(gain_r1) AS gain, any_value(untagged_mentions / (untagged_mentions + tagged_count)) AS share
FROM recall_breakdowns
JOIN semantic_prior ON semantic_prior.dataset = recall_breakdowns.dataset
    AND semantic_prior.entity_group = recall_breakdowns.facet AND semantic_prior.entity = recall_breakdowns.value
WHERE recall_breakdowns.dataset = $dataset AND variant = 'eiclip' AND products >= $minimum AND gain_r1 IS NOT NULL
    -- Of the groups that are facets, the makers' alone is told how confounded it is.
    AND facet || ' confounded' IN (SELECT facets.facet FROM recall_breakdowns AS facets WHERE dataset = $dataset)
GROUP BY value
ORDER BY value
