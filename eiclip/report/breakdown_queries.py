"""What the plots and tables of `breakdown` ask of the catalogue; all candidates, row 5 against row 3."""

COMPARISONS = """
SELECT variant, baseline, direction, measure, difference, low, high, p_value, products
FROM row_comparisons
WHERE dataset = $dataset AND protocol = 'full' AND (measure = 'r1' OR measure = 'sum_r')
"""

FACETS = """
SELECT facet, value, products, queries, r1, gain_r1, gain_low, gain_high, p_value, baseline_r1
FROM (
    SELECT *, max(r1) FILTER (WHERE variant = 'clip_entities_text') OVER (PARTITION BY facet, value) AS baseline_r1
    FROM recall_breakdowns
    WHERE dataset = $dataset AND direction = 't2i'
)
WHERE variant = 'eiclip' AND gain_r1 IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY facet ORDER BY products DESC, value) <= $shown
ORDER BY facet, value
"""

BRANDS = """
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
"""

BRAND_GAINS = """
SELECT value, avg(gain_r1) AS gain, any_value(untagged_mentions / (untagged_mentions + tagged_count)) AS share
FROM recall_breakdowns
JOIN semantic_prior ON semantic_prior.dataset = recall_breakdowns.dataset
    AND semantic_prior.entity_group = 'brand' AND semantic_prior.entity = recall_breakdowns.value
WHERE recall_breakdowns.dataset = $dataset AND facet = 'brand' AND variant = 'eiclip' AND products >= $minimum
    AND gain_r1 IS NOT NULL
GROUP BY value
ORDER BY value
"""
