-- same_style_differences: one row per dataset and comparison of the same-style model by both views, in points.
-- 95 % intervals over styles (and seeds, where there are several).
WITH figures AS (
    SELECT
        dataset,
        baseline || ', ' || baseline_view_pair AS compared_with,
        measure,
        seeds,
        format('{:+.1f} [{:.1f}, {:.1f}]', difference, low, high) AS points
    FROM same_style_comparisons
    WHERE variant = 'same_style' AND view_pair = 'm-m' AND measure IN ('mrr', 'r1')
    QUALIFY seeds = max(seeds) OVER (PARTITION BY dataset)
)

SELECT
    dataset,
    compared_with AS "compared with",
    seeds,
    max(points) FILTER (WHERE measure = 'mrr') AS "MRR",
    max(points) FILTER (WHERE measure = 'r1') AS "R@1"
FROM figures
GROUP BY dataset, compared_with, seeds
ORDER BY dataset, compared_with
