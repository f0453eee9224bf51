-- typed_query_metrics: one row per pair of views and way of reading typed queries: MRR and recalls, from plain
--   words to the product's own tags.
-- Source: typed_query_metrics.
-- Parameters: $dataset.
SELECT split_part(variant, ', ', 2) AS way, view_pair, mrr, r1, r10, queries
FROM typed_query_metrics
WHERE dataset = $dataset
ORDER BY view_pair, list_position(['typed', 'typed and linked', 'tags given'], way)
