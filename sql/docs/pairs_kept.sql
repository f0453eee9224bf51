-- pairs_kept: one row per dataset and step from a click log to pairs of one style, as docs/tables.md shows it.
SELECT dataset, unit, name AS step, format('{:,}', kept) AS kept, format('{:,}', lost) AS lost
FROM pair_funnel
ORDER BY dataset, pair_funnel.step
