-- gate_report: one row per variant with gates (rows 4 to 6) and entity group.
-- Source: gate_weights, entity_vocabulary, entity_shuffles.
-- entities: entities that training products train; `<unk>` is one where rare entities train it
-- training_products: training products that carry one of them; one that carries several counts for each
-- mean_weight: mean gate over those products
-- lowest: lowest gate of those entities, each counted once
-- lower_quartile: lower quartile of their gates
-- median: median of their gates
-- upper_quartile: upper quartile of their gates
-- highest: highest of their gates
-- r1_lost_removed: recall@1 lost without the group, mean of both directions (points; below 0: better without)
-- r1_lost_shuffled: recall@1 lost with the group's entities permuted, mean of both directions (points; below 0:
--   better so)
WITH trained AS (
    SELECT gate_weights.*, coalesce(entity_vocabulary.product_count, 0) AS product_count
    FROM gate_weights
    LEFT JOIN entity_vocabulary USING (dataset, entity_group, entity)
),
gates AS (
    SELECT
        dataset,
        variant,
        entity_group,
        count(*) AS entities,
        sum(product_count)::BIGINT AS training_products,
        sum(weight * product_count) / sum(product_count) AS mean_weight,
        min(weight) AS lowest,
        quantile_cont(weight, 0.25) AS lower_quartile,
        median(weight) AS median,
        quantile_cont(weight, 0.75) AS upper_quartile,
        max(weight) AS highest
    FROM trained
    WHERE product_count > 0  -- an embedding that nothing trains has a gate that means nothing
    GROUP BY dataset, variant, entity_group
),
lost AS (
    SELECT dataset, variant, entity_group, avg(r1_removed_lost) AS r1_lost_removed, avg(r1_lost) AS r1_lost_shuffled
    FROM entity_shuffles
    GROUP BY dataset, variant, entity_group
)
SELECT gates.*, lost.r1_lost_removed, lost.r1_lost_shuffled
FROM gates
LEFT JOIN lost USING (dataset, variant, entity_group)
ORDER BY dataset, variant, entity_group
