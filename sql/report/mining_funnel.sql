-- mining_funnel: one row per step of the mining of pairs: what it kept and lost.
-- Source: pair_funnel.
-- Parameters: $dataset.
SELECT step, name, unit, kept, lost, why
FROM pair_funnel
WHERE dataset = $dataset
ORDER BY step
