-- typed_query_comparisons: one row per pair of views and way of reading typed queries: its gain in MRR over the way
--   before it.
-- Source: typed_query_comparisons.
-- Parameters: $dataset.
SELECT variant, view_pair, measure, difference, low, high
FROM typed_query_comparisons
WHERE dataset = $dataset AND measure = 'mrr'
ORDER BY view_pair, variant
