-- typed_query_metrics: one row per pair of views and way of reading typed queries: MRR and recalls.
-- Source: typed_query_metrics.
-- Parameters: $dataset.
SELECT variant, view_pair, mrr, r1, r10, queries
FROM typed_query_metrics
WHERE dataset = $dataset
ORDER BY view_pair, variant
