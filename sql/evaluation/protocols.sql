-- protocols: one row per protocol: who asks, what answers, and by what rule.
-- Source: candidate_lists, products, images; test split only.
-- Parameters: $dataset, $seed, $negatives_group.
-- protocol: name of the protocol
-- candidates: all | list: every item of the test split, or a list drawn for the query
-- level: image | product: what an item is
-- rule: who asks, what answers, and what is left out, in words
-- seed: seed of the lists; empty where nothing is drawn
-- draws: number of draws of queries
-- queries: number of queries, over all draws
-- with_shortfall: lists whose subcategory was too small
-- negatives_short: how many of their negatives came from other subcategories
WITH rules AS (
    SELECT *
    FROM (VALUES
        ('full', 'all', 'image',
            'A photo asks among the texts of all products; a text asks among all photos, and any photo of its product is right.'),
        ('full_distinct', 'all', 'image', 'As full, and known duplicates of the query''s product are no candidates.'),
        ('full_product', 'all', 'product',
            'As full, with the mean of a product''s photo embeddings in place of its photos.'),
        ('sample100', 'list', 'image',
            'One right item among 101: 100 of other products of the same subcategory, filled up from other subcategories '
            || 'where it is too small. The models go without the entity that defines the list: '),
        ('sample100_distinct', 'list', 'image',
            'As sample100, and known duplicates of the query''s product are in no list. Left out: '),
        ('sample100_product', 'list', 'product',
            'As sample100, with the mean of a product''s photo embeddings in place of its photos. Left out: '),
        ('sample100_5x1000', 'list', 'image',
            'As sample100, as others report it: 1,000 queries drawn 5 times, the mean over the draws. Left out: ')
    ) AS rule (protocol, candidates, level, rule)
),
listed AS (
    SELECT
        protocol,
        count(DISTINCT draw) AS draws,
        count(*) AS queries,
        count(*) FILTER (WHERE shortfall > 0) AS with_shortfall,
        sum(shortfall) AS negatives_short
    FROM candidate_lists
    GROUP BY protocol
),
sizes AS (
    SELECT
        (SELECT count(*) FROM images WHERE split = 'test') AS photos,
        (SELECT count(*) FROM products WHERE split = 'test') AS products
)
SELECT
    $dataset AS dataset,
    protocol,
    candidates,
    level,
    rule || CASE WHEN candidates = 'list' THEN $negatives_group || '.' ELSE '' END AS rule,
    CASE WHEN candidates = 'list' THEN $seed END AS seed,
    coalesce(draws, 0) AS draws,
    CASE
        WHEN candidates = 'list' THEN coalesce(queries, 0)
        WHEN level = 'image' THEN photos + products
        ELSE 2 * products
    END AS queries,
    coalesce(with_shortfall, 0) AS with_shortfall,
    coalesce(negatives_short, 0)::BIGINT AS negatives_short
FROM rules
LEFT JOIN listed USING (protocol)
CROSS JOIN sizes
ORDER BY protocol
