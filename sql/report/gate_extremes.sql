-- gate_extremes: one row per entity group: the entities of the highest and the lowest gates, rare ones left out.
-- Source: gate_weights, entity_vocabulary.
-- Parameters: $dataset, $variant, $minimum, $shown.
WITH known AS (
    SELECT
        entity_group,
        entity || ' (' || printf('%.2f', weight) || ')' AS told,
        row_number() OVER (PARTITION BY entity_group ORDER BY weight DESC, entity) AS from_top,
        row_number() OVER (PARTITION BY entity_group ORDER BY weight, entity DESC) AS from_bottom
    FROM gate_weights
    JOIN entity_vocabulary USING (dataset, entity_group, entity)
    WHERE dataset = $dataset AND variant = $variant AND entity <> '<unk>'
        AND entity_vocabulary.product_count >= $minimum
)
SELECT
    entity_group,
    string_agg(told, ', ' ORDER BY from_top) FILTER (WHERE from_top <= $shown) AS highest,
    string_agg(told, ', ' ORDER BY from_bottom) FILTER (WHERE from_bottom <= $shown AND from_top > $shown) AS lowest
FROM known
GROUP BY entity_group
ORDER BY entity_group
