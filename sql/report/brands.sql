-- brands: one row per brand of the test split: what row 5 gains, and how confounded the brand's words are.
-- Source: recall_breakdowns, semantic_prior.
-- Parameters: $dataset, $minimum, $shown.
SELECT
    value, products, gain_r1, gain_low, gain_high,
    100 * untagged_mentions / (untagged_mentions + tagged_count) AS share
FROM recall_breakdowns
LEFT JOIN semantic_prior ON semantic_prior.dataset = recall_breakdowns.dataset
    AND semantic_prior.entity_group = 'brand' AND semantic_prior.entity = recall_breakdowns.value
WHERE recall_breakdowns.dataset = $dataset AND facet = 'brand' AND direction = 't2i' AND variant = 'eiclip'
    AND gain_r1 IS NOT NULL AND products >= $minimum
ORDER BY queries DESC, value
LIMIT $shown
