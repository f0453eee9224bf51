-- removed_entities: one row per entity: the mean log2 rank change when it is removed, over sampled products.
-- Source: interventions.
-- Parameters: $dataset, $variant, $minimum.
SELECT entity_group, entity, count(*) AS queries, avg(log2(rank_after / rank_before)) AS change
FROM interventions
WHERE dataset = $dataset AND variant = $variant AND intervention = 'removed'
GROUP BY entity_group, entity
HAVING count(*) >= $minimum
