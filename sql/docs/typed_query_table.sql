-- typed_query_table: one row per dataset and way of reading typed queries, as docs/tables.md shows it.
-- Test descriptions with the brand written in; MRR and recall@1 in percent, and the MRR over words alone.
SELECT
    dataset,
    variant AS "read as",
    view_pair AS "views",
    format('{:,}', queries) AS queries,
    format('{:.1f}', mrr) AS "MRR",
    format('{:.1f}', r1) AS "R@1",
    CASE WHEN difference IS NULL THEN '' ELSE format('{:+.1f} [{:.1f}, {:.1f}]', difference, low, high) END AS "MRR over words alone"
FROM typed_query_metrics
LEFT JOIN (
    SELECT dataset, variant, seed, view_pair, difference, low, high
    FROM typed_query_comparisons
    WHERE measure = 'mrr' AND baseline_view_pair = view_pair AND baseline LIKE '%, typed'
) USING (dataset, variant, seed, view_pair)
WHERE seed = 0 AND view_pair IN ('t-i', 't-m')
ORDER BY dataset, view_pair, variant
