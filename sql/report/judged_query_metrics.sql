-- judged_query_metrics: one row per kind of judged queries and reading, difference or bound, of the variant that search
--   takes unless another is named.
-- Source: judged_query_metrics.
-- Parameters: $dataset.
SELECT variant, kind, reading, queries, mrr10, mrr10_low, mrr10_high, ndcg10, p10, r1, r10
FROM judged_query_metrics
WHERE dataset = $dataset
QUALIFY variant = first_value(variant) OVER (
    ORDER BY list_position(['same_style', 'eiclip_plus', 'eiclip'], variant) NULLS LAST, variant
)
ORDER BY
    list_position(['file', 'tags', 'names', 'descriptions'], kind) NULLS LAST,
    kind,
    list_position(['plain words', 'linked entities', 'words', 'hybrid'], reading) NULLS LAST,
    reading
