-- worst_judged_queries: one row per judged query that a variant's hybrid search finds least for, the worst first.
-- Source: judged_query_results.
-- Parameters: $dataset, $variant, $most.
SELECT kind, query, relevant, rank, ndcg10
FROM judged_query_results
WHERE dataset = $dataset AND variant = $variant AND reading = 'hybrid'
ORDER BY ndcg10, rank DESC, query
LIMIT $most
