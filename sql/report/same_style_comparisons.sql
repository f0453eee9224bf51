-- same_style_comparisons: one row per pair of variants, pair of views and measure (MRR and R@1): the difference.
-- Of one variant (joint): of photo and text together from the better of the two alone.
-- Where variants were trained with several seeds: of their means over them (seed NULL).
-- Source: same_style_comparisons.
-- Parameters: $dataset.
SELECT
    variant, baseline, view_pair, baseline_view_pair, measure, seed, seeds, value, baseline_value, difference, low,
    high, p_value, styles, variant = baseline AS joint
FROM same_style_comparisons
WHERE dataset = $dataset AND measure IN ('mrr', 'r1')
QUALIFY row_number() OVER (PARTITION BY variant, baseline, view_pair, measure ORDER BY seed NULLS FIRST) = 1
ORDER BY
    variant,
    list_position(['same_style_unconstrained', 'same_style_plain'], baseline) NULLS LAST,
    baseline,
    list_position(['i-i', 't-t', 'i-t', 't-i', 'i-m', 't-m', 'm-m'], view_pair),
    measure
