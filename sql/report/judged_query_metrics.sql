-- judged_query_metrics: one row per kind of judged queries and reading, difference or bound, of the variant that search
--   takes unless another is named; of tags together, where there are several kinds of them.
-- Source: judged_query_metrics.
-- Parameters: $dataset.
SELECT
    variant, kind, reading, reading LIKE '% - %' AS is_difference, queries,
    mrr10, mrr10_low, mrr10_high, ndcg10, p10, r1, r10
FROM judged_query_metrics
WHERE dataset = $dataset
QUALIFY variant = first_value(variant) OVER (
    ORDER BY list_position(['same_style', 'eiclip_plus', 'eiclip'], variant) NULLS LAST, variant
) AND NOT (
    kind IN ('subcategory', 'brand and subcategory', 'colour and subcategory')
    AND bool_or(kind = 'tags') OVER (PARTITION BY variant)
)
ORDER BY
    list_position(['file', 'tags', 'names', 'descriptions'], kind) NULLS LAST,
    kind,
    list_position(['plain words', 'linked entities', 'words', 'hybrid'], reading) NULLS LAST,
    reading
