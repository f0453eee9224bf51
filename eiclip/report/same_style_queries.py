"""What the section on same-style retrieval asks of the catalogue.

Where a variant was trained with several seeds, the rows of its mean over them (seed NULL) are shown.
"""

INTERVALS = """
SELECT variant, view_pair, measure, seed, seeds, value, low, high, queries, styles
FROM same_style_intervals
WHERE dataset = $dataset
QUALIFY row_number() OVER (PARTITION BY variant, view_pair, measure ORDER BY seed NULLS FIRST) = 1
ORDER BY variant, view_pair, measure
"""

METRICS = """
SELECT variant, view_pair, avg(mrr) AS mrr, avg(r1) AS r1, avg(r10) AS r10, any_value(queries) AS queries
FROM same_style_metrics
WHERE dataset = $dataset
GROUP BY variant, view_pair
ORDER BY variant, view_pair
"""
"""For a home whose intervals have not been made yet."""

COMPARISONS = """
SELECT
    variant, baseline, view_pair, baseline_view_pair, measure, seed, seeds, value, baseline_value, difference, low,
    high, p_value, styles
FROM same_style_comparisons
WHERE dataset = $dataset AND measure IN ('mrr', 'r1')
QUALIFY row_number() OVER (PARTITION BY variant, baseline, view_pair, measure ORDER BY seed NULLS FIRST) = 1
ORDER BY variant, baseline, view_pair, measure
"""

CURVE = """
SELECT variant, view, threshold, precision, recall, average_precision
FROM same_style_pr_curve
WHERE dataset = $dataset
QUALIFY seed = min(seed) OVER (PARTITION BY variant, view)
ORDER BY variant, view, recall
"""
"""Of one seed: a mean of curves is none."""

AVERAGE_PRECISIONS = """
SELECT variant, view, avg(average_precision) AS average_precision
FROM (SELECT DISTINCT variant, view, seed, average_precision FROM same_style_pr_curve WHERE dataset = $dataset)
GROUP BY variant, view
ORDER BY variant, view
"""

FUNNEL = """
SELECT step, name, unit, kept, lost, why
FROM pair_funnel
WHERE dataset = $dataset
ORDER BY step
"""

ABLATION = """
SELECT setting, value, label, view_pair, avg(mrr) AS mrr, avg(r1) AS r1, count(DISTINCT seed) AS seeds
FROM same_style_ablation
WHERE dataset = $dataset
GROUP BY setting, value, label, view_pair
ORDER BY setting, label, value, view_pair
"""
