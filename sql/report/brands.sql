-- brands: one row per entity of the makers' group in the test split: what row 5 gains, and how confounded its words
--   are.
-- Source: recall_breakdowns, semantic_prior.
-- Parameters: $dataset, $minimum, $shown.
SELECT
    value, products, gain_r1, gain_low, gain_high,
    100 * untagged_mentions / (untagged_mentions + tagged_count) AS share
FROM recall_breakdowns
LEFT JOIN semantic_prior ON semantic_prior.dataset = recall_breakdowns.dataset
    AND semantic_prior.entity_group = recall_breakdowns.facet AND semantic_prior.entity = recall_breakdowns.value
WHERE recall_breakdowns.dataset = $dataset AND direction = 't2i' AND variant = 'eiclip'
    AND gain_r1 IS NOT NULL AND products >= $minimum
    -- Of the groups that are facets, the makers' alone is told how confounded it is.
    AND facet || ' confounded' IN (SELECT facets.facet FROM recall_breakdowns AS facets WHERE dataset = $dataset)
ORDER BY queries DESC, value
LIMIT $shown
