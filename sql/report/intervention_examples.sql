-- intervention_examples: one row per example: the strongest falls from the top ranks and rises into them.
-- No two of one intervention and group.
-- Source: interventions, images, product_entities, products.
-- Parameters: $dataset, $variant, $top, $fallen, $risen.
WITH changed AS (
    SELECT *, log2(rank_after / rank_before) AS change
    FROM interventions
    WHERE dataset = $dataset AND variant = $variant
),
chosen AS (
    (
        SELECT *
        FROM changed
        WHERE rank_before <= $top AND change > 0
        QUALIFY row_number() OVER (PARTITION BY intervention, entity_group ORDER BY change DESC, product_id, entity) = 1
        ORDER BY change DESC, product_id, intervention, entity_group
        LIMIT $fallen
    )
    UNION ALL
    (
        SELECT *
        FROM changed
        WHERE rank_after <= $top AND change < 0
        QUALIFY row_number() OVER (PARTITION BY intervention, entity_group ORDER BY change, product_id, entity) = 1
        ORDER BY change, product_id, intervention, entity_group
        LIMIT $risen
    )
),
photos AS (
    SELECT image_id, entity_group, string_agg(entity, ', ' ORDER BY ordinal) AS entity
    FROM images
    JOIN product_entities USING (dataset, product_id)
    WHERE dataset = $dataset
    GROUP BY image_id, entity_group
)
SELECT chosen.*, products.title, best_before.entity AS entity_before, best_after.entity AS entity_after
FROM chosen
LEFT JOIN products USING (dataset, product_id)
LEFT JOIN photos AS best_before
    ON chosen.top_before = best_before.image_id AND chosen.entity_group = best_before.entity_group
LEFT JOIN photos AS best_after
    ON chosen.top_after = best_after.image_id AND chosen.entity_group = best_after.entity_group
ORDER BY change DESC, product_id, intervention, entity_group
