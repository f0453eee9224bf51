-- typed_query_comparisons: one row per pair of views and way of reading typed queries: its gain in MRR over the way
--   before it.
-- Source: typed_query_comparisons.
-- Parameters: $dataset.
SELECT split_part(variant, ', ', 1) AS variant, split_part(variant, ', ', 2) AS way, view_pair, difference, low, high
FROM typed_query_comparisons
WHERE dataset = $dataset AND measure = 'mrr'
ORDER BY view_pair, way
