-- intervention_changes: one row per variant, intervention and entity group: the log2 rank change of sampled products.
-- Source: interventions.
-- Parameters: $dataset.
SELECT
    variant,
    intervention,
    entity_group,
    count(*) AS queries,
    avg(log2(rank_after / rank_before)) AS mean,
    coalesce(stddev_samp(log2(rank_after / rank_before)), 0) AS deviation,
    quantile_cont(log2(rank_after / rank_before), 0.25) AS low,
    quantile_cont(log2(rank_after / rank_before), 0.75) AS high
FROM interventions
WHERE dataset = $dataset
GROUP BY variant, intervention, entity_group
ORDER BY variant, intervention, entity_group
