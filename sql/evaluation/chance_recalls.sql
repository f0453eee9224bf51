-- chance_recalls: one row per protocol: what a random order of the candidates reaches, in the columns of `leaderboard`.
-- Expected values, exact, from each query's number of candidates and of relevant ones among them. `FROM leaderboard
-- UNION ALL BY NAME FROM chance_recalls` puts them beside the variants.
-- Source: candidate_lists, products, images, product_groups; test split only.
-- Parameters: $dataset.
-- variant: 'chance'
WITH tested AS (
    SELECT product_id, coalesce(product_groups.group_id, product_id) AS group_id, photos
    FROM products
    JOIN (SELECT product_id, count(*) AS photos FROM images WHERE split = 'test' GROUP BY ALL) USING (product_id)
    LEFT JOIN product_groups USING (product_id)
    WHERE split = 'test'
),
sizes AS (
    SELECT
        photos,
        count(*) OVER () AS all_products,
        sum(photos) OVER () AS all_photos,
        count(*) OVER of_group - 1 AS other_products,
        sum(photos) OVER of_group - photos AS other_photos
    FROM tested
    WINDOW of_group AS (PARTITION BY group_id)
),
asked AS (
    SELECT 'full' AS protocol, 'i2t' AS direction, photos AS queries, all_products AS candidates, 1 AS relevant
    FROM sizes
    UNION ALL
    SELECT 'full', 't2i', 1, all_photos, photos
    FROM sizes
    UNION ALL
    -- Known duplicates of the query's product are no candidates.
    SELECT 'full_distinct', 'i2t', photos, all_products - other_products, 1
    FROM sizes
    UNION ALL
    SELECT 'full_distinct', 't2i', 1, all_photos - other_photos, photos
    FROM sizes
    UNION ALL
    SELECT 'full_product', direction, 1, all_products, 1
    FROM sizes, (VALUES ('i2t'), ('t2i')) AS way (direction)
    UNION ALL
    SELECT protocol, direction, 1, 1 + len(negative_ids), 1
    FROM candidate_lists
),
kinds AS (
    SELECT
        protocol,
        direction,
        sum(queries) AS queries,
        candidates::BIGINT AS candidates,
        relevant::BIGINT AS relevant
    FROM asked
    GROUP BY ALL
),
-- That none of the first k is relevant has the probability of drawing k irrelevant ones without putting back.
expected AS (
    SELECT
        protocol,
        direction,
        queries,
        list_transform([1, 5, 10], lambda k: 100 * (1 - list_product(list_transform(
            range(k), lambda i: greatest(candidates - relevant - i, 0) / greatest(candidates - i, 1)
        )))) AS recalls,
        100 * relevant / (candidates - relevant + 1) * list_sum(list_transform(
            range(relevant, candidates + 1), lambda i: 1 / i
        )) AS mrr,
        -- Each place holds a relevant candidate with the same probability.
        100 * relevant / candidates
            * list_sum(list_transform(range(least(10, candidates)), lambda i: 1 / log2(i + 2)))
            / list_sum(list_transform(range(least(10, relevant)), lambda i: 1 / log2(i + 2))) AS ndcg10
    FROM kinds
),
means AS (
    SELECT
        protocol,
        direction,
        sum(queries * recalls[1]) / sum(queries) AS r1,
        sum(queries * recalls[2]) / sum(queries) AS r5,
        sum(queries * recalls[3]) / sum(queries) AS r10,
        sum(queries * mrr) / sum(queries) AS mrr,
        sum(queries * ndcg10) / sum(queries) AS ndcg10
    FROM expected
    GROUP BY protocol, direction
)
SELECT
    $dataset AS dataset,
    protocol,
    'chance' AS variant,
    max(r1) FILTER (WHERE direction = 'i2t') AS i2t_r1,
    max(r5) FILTER (WHERE direction = 'i2t') AS i2t_r5,
    max(r10) FILTER (WHERE direction = 'i2t') AS i2t_r10,
    max(r1) FILTER (WHERE direction = 't2i') AS t2i_r1,
    max(r5) FILTER (WHERE direction = 't2i') AS t2i_r5,
    max(r10) FILTER (WHERE direction = 't2i') AS t2i_r10,
    sum(r1 + r5 + r10) AS sum_r,
    max(mrr) FILTER (WHERE direction = 'i2t') AS i2t_mrr,
    max(mrr) FILTER (WHERE direction = 't2i') AS t2i_mrr,
    max(ndcg10) FILTER (WHERE direction = 'i2t') AS i2t_ndcg10,
    max(ndcg10) FILTER (WHERE direction = 't2i') AS t2i_ndcg10
FROM means
GROUP BY protocol
ORDER BY protocol
