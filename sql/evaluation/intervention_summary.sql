-- intervention_summary: one row per variant, intervention and entity group, over the sampled test products.
-- Source: interventions.
-- Sums of fractions are in the order of their values: equal rows give equal digits, however many threads add them
-- up. gate_correlation tells whether what the gate lets through more matters more. It is empty for fewer than 10
-- queries, and where all gates or all changes are one.
-- r1_before: recall@1 before (percent)
-- r1_after: recall@1 after (percent)
-- mean_rank_change: mean of rank after - rank before: above 0 is worse
-- mean_log2_rank_change: mean of log2(rank after / rank before): 1 is twice as far down
-- median_rank_before: median rank before
-- median_rank_after: median rank after
-- worse_share: share of the queries whose rank is worse after
-- mean_gate: mean gate of the entities; empty for row 3, which has no gates
-- gate_correlation: Spearman's correlation of an entity's gate with the log2 rank change, ties at their mean rank;
--   empty for row 3
WITH changed AS (
    SELECT *, log2(rank_after / rank_before) AS change
    FROM interventions
),
placed AS (
    SELECT
        *,
        rank() OVER by_gate + (count(*) OVER same_gate - 1) / 2 AS gate_place,
        rank() OVER by_change + (count(*) OVER same_change - 1) / 2 AS change_place
    FROM changed
    WINDOW
        by_gate AS (PARTITION BY dataset, variant, intervention, entity_group ORDER BY gate_weight),
        same_gate AS (PARTITION BY dataset, variant, intervention, entity_group, gate_weight),
        by_change AS (PARTITION BY dataset, variant, intervention, entity_group ORDER BY change),
        same_change AS (PARTITION BY dataset, variant, intervention, entity_group, change)
)
SELECT
    dataset,
    variant,
    intervention,
    entity_group,
    count(*) AS queries,
    100 * avg((rank_before <= 1)::INTEGER) AS r1_before,
    100 * avg((rank_after <= 1)::INTEGER) AS r1_after,
    avg(rank_after - rank_before) AS mean_rank_change,
    avg(change ORDER BY change) AS mean_log2_rank_change,
    median(rank_before) AS median_rank_before,
    median(rank_after) AS median_rank_after,
    avg((rank_after > rank_before)::INTEGER) AS worse_share,
    avg(share_before ORDER BY share_before) AS share_before,
    avg(share_after ORDER BY share_after) AS share_after,
    avg(replacement_share_before ORDER BY replacement_share_before) AS replacement_share_before,
    avg(replacement_share_after ORDER BY replacement_share_after) AS replacement_share_after,
    avg(gate_weight ORDER BY gate_weight) AS mean_gate,
    CASE
        WHEN count(gate_weight) >= 10 AND min(gate_weight) < max(gate_weight) AND min(change) < max(change)
            THEN corr(gate_place, change_place ORDER BY gate_place, change_place)
    END AS gate_correlation
FROM placed
GROUP BY dataset, variant, intervention, entity_group
ORDER BY dataset, variant, list_position(['removed', 'swapped', 'as_text'], intervention), entity_group
