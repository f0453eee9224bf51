-- entity_states: one row per entity group and state (known, unseen, missing) of a test product's entity: recall@1.
-- Source: recall_breakdowns.
-- Parameters: $dataset, $variant.
SELECT facet, value, products, r1
FROM recall_breakdowns
WHERE dataset = $dataset AND variant = $variant AND direction = 't2i' AND facet LIKE '% state'
ORDER BY facet, value
