-- same_style_views: one row per dataset, measure and variant of same-style retrieval, as docs/tables.md shows it.
-- In percent, with 95 % intervals over styles (and seeds, where there are several); a column per pair of views.
WITH figures AS (
    SELECT
        dataset,
        measure,
        variant,
        view_pair,
        seeds,
        CASE
            WHEN view_pair IN ('i-i', 't-t', 'm-m') THEN format('{:.1f} [{:.1f}, {:.1f}]', value, low, high)
            ELSE format('{:.1f}', value)
        END AS shown
    FROM same_style_intervals
    WHERE measure IN ('mrr', 'r1')
    QUALIFY seeds = max(seeds) OVER (PARTITION BY dataset, variant)
    UNION ALL BY NAME
    -- A random order, expected: in every pair of views alike.
    SELECT dataset, measure, 'chance' AS variant, view_pair, 0 AS seeds, format('{:.1f}', value) AS shown
    FROM (UNPIVOT same_style_chance ON mrr, r1 INTO NAME measure VALUE value)
    CROSS JOIN (SELECT DISTINCT view_pair FROM same_style_intervals)
),

wide AS (
    PIVOT figures ON view_pair IN ('i-i', 't-t', 'i-t', 't-i', 'i-m', 't-m', 'm-m')
    USING any_value(shown) GROUP BY dataset, measure, variant, seeds
)

SELECT
    dataset,
    measure,
    variant,
    seeds,
    coalesce("i-i", '') AS "i-i",
    coalesce("t-t", '') AS "t-t",
    coalesce("i-t", '') AS "i-t",
    coalesce("t-i", '') AS "t-i",
    coalesce("i-m", '') AS "i-m",
    coalesce("t-m", '') AS "t-m",
    coalesce("m-m", '') AS "m-m"
FROM wide
ORDER BY dataset, measure, variant = 'chance' DESC, variant
