-- row_differences: one row per dataset and two rows of Table 1, as docs/tables.md shows it; all candidates.
-- Differences in points with 95 % intervals over products; row 5 over row 3 is the comparison named beforehand.
WITH rows AS (
    SELECT DISTINCT variant, paper_row
    FROM leaderboard
    WHERE paper_row IS NOT NULL
),

figures AS (
    SELECT
        dataset,
        rows.paper_row || ' over ' || base.paper_row AS compared,
        -rows.paper_row * 10 + base.paper_row AS place,
        direction || '_' || measure AS figure,
        format('{:+.1f} [{:.1f}, {:.1f}]', difference, low, high) AS points,
        relative,
        p_value
    FROM row_comparisons
    JOIN rows USING (variant)
    JOIN rows AS base ON base.variant = row_comparisons.baseline
    WHERE protocol = 'full'
)

SELECT
    dataset,
    compared AS "rows",
    max(points) FILTER (WHERE figure = 'i2t_r1') AS "I2T R@1",
    max(points) FILTER (WHERE figure = 't2i_r1') AS "T2I R@1",
    max(points) FILTER (WHERE figure = 'both_sum_r') AS "SumR",
    format('{:+.0f}', max(relative) FILTER (WHERE figure = 'both_sum_r')) AS "SumR, percent",
    format('{:.4f}', max(p_value) FILTER (WHERE figure = 'both_sum_r')) AS "p (SumR)"
FROM figures
GROUP BY dataset, compared, place
ORDER BY dataset DESC, place
