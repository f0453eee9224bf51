-- seed_leads: one row per dataset and two rows of `make seed_study`, as docs/real.md shows it; all candidates.
-- The first row over the second in percent of the second's figure, means over training seeds, with 95 % intervals over
-- products and seeds.
WITH rows AS (
    SELECT DISTINCT variant, "row"
    FROM seed_study_summary
),

leads AS (
    SELECT
        dataset,
        rows."row" || ' over ' || base."row" AS compared,
        -rows."row" * 10 + base."row" AS place,
        seeds,
        measure,
        format('{:.1f} / {:.1f}', value, baseline_value) AS figures,
        format('{:+.1f} % [{:.1f}, {:.1f}]', relative, relative_low, relative_high) AS lead
    FROM seed_study_comparisons
    JOIN rows USING (variant)
    JOIN rows AS base ON base.variant = seed_study_comparisons.baseline
)

SELECT
    dataset,
    compared AS "rows",
    seeds,
    max(figures) FILTER (WHERE measure = 'i2t_r1') AS "I2T R@1",
    max(lead) FILTER (WHERE measure = 'i2t_r1') AS "lead",
    max(figures) FILTER (WHERE measure = 't2i_r1') AS "T2I R@1",
    max(lead) FILTER (WHERE measure = 't2i_r1') AS "lead ",
    max(figures) FILTER (WHERE measure = 'sum_r') AS "SumR",
    max(lead) FILTER (WHERE measure = 'sum_r') AS "lead  "
FROM leads
GROUP BY dataset, compared, place, seeds
ORDER BY dataset DESC, place
