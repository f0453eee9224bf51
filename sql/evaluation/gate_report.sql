-- gate_report: one row per variant with gates (rows 4 and 5) and entity group.
-- Columns: dataset, variant, entity_group, entities (that training products train; `<unk>` is one where rare entities train
--   it), training_products (that carry one of them), mean_weight (of the gate, over those products), lowest, lower_quartile,
--   median, upper_quartile, highest (over those entities, each once), r1_lost_removed, r1_lost_shuffled (points of
--   recall@1, mean of both directions, without the group and with its entities dealt out anew; below 0: better so).
-- Source: gate_weights, entity_vocabulary, entity_shuffles.
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
