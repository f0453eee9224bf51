-- groups_of_rows: one row per dataset, row with gates and entity group, as docs/real.md shows it.
-- Mean gate over entities; recall@1 lost (points) where the group's entities change places at test.
WITH gates AS (
    SELECT dataset, variant, entity_group, avg(weight) AS gate
    FROM gate_weights
    GROUP BY ALL
),

shuffled AS (
    SELECT
        dataset,
        variant,
        entity_group,
        max(r1_lost) FILTER (WHERE direction = 'i2t') AS i2t_lost,
        max(r1_lost) FILTER (WHERE direction = 't2i') AS t2i_lost
    FROM entity_shuffles
    GROUP BY ALL
)

SELECT
    dataset,
    variant,
    entity_group AS "group",
    format('{:.2f}', gate) AS "mean gate",
    format('{:.1f}', i2t_lost) AS "I2T R@1 lost",
    format('{:.1f}', t2i_lost) AS "T2I R@1 lost"
FROM gates
JOIN shuffled USING (dataset, variant, entity_group)
ORDER BY dataset DESC, variant, entity_group
