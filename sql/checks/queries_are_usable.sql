-- queries_are_usable: one row per reason for which rows of the file of queries are of no use: a sentence.
-- Source: judged_queries, judged_query_rejections; of one dataset.
SELECT format('{} rows of {} cannot be used, the first is row {}: {}', count(*), source, min(place), arg_min(reason, place))
FROM judged_query_rejections
GROUP BY source, split_part(reason, ':', 1)
UNION ALL
SELECT format(
    '{} products of {} are not in the catalogue and do not count: {}, ...',
    count(DISTINCT product_id),
    source,
    min(product_id)
)
FROM judged_queries
WHERE split IS NULL
GROUP BY source
