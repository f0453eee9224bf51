-- paired_first_places: one row: how many texts one variant alone, or the other alone, finds at rank 1.
-- Source: retrieval_ranks.
-- Parameters: $dataset, $one, $other.
SELECT
    count(*) AS queries,
    count(*) FILTER (WHERE one.rank = 1 AND other.rank > 1) AS only_one,
    count(*) FILTER (WHERE other.rank = 1 AND one.rank > 1) AS only_other
FROM retrieval_ranks AS one
JOIN retrieval_ranks AS other USING (dataset, protocol, direction, query_id)
WHERE dataset = $dataset AND protocol = 'full' AND direction = 't2i'
    AND one.variant = $one AND other.variant = $other
HAVING count(*) > 0
