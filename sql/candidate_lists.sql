-- candidate_lists: one row per query of the sample-100 protocol, drawn once so that every variant ranks the same lists.
-- Columns: dataset, protocol, direction (i2t | t2i), query_id, product_id, positive_id, negative_ids, shortfall (how
--   many of the negatives had to come from outside the query's subcategory).
-- i2t: a photo asks for the text of its product (items are product ids); t2i: a product's text asks for one of its
-- photos (items are image ids). Negatives are of other products of the same subcategory.
-- Source: products, images; test split only.
-- Parameters: $dataset, $seed, $negatives.
WITH items AS (
    SELECT 'i2t' AS direction, product_id AS item_id, product_id, subcategory AS peers
    FROM products
    WHERE split = 'test'
    UNION ALL
    SELECT 't2i', images.image_id, images.product_id, products.subcategory
    FROM images
    JOIN products USING (dataset, product_id)
    WHERE images.split = 'test'
),
queries AS (
    SELECT 'i2t' AS direction, item_id AS query_id, product_id, peers, product_id AS positive_id
    FROM items
    WHERE direction = 't2i'
    UNION ALL
    SELECT 't2i', product_id, product_id, any_value(peers), min_by(item_id, md5('positive:' || $seed || ':' || item_id))
    FROM items
    WHERE direction = 't2i'
    GROUP BY product_id
),
from_peers AS (
    SELECT
        queries.direction,
        queries.query_id,
        items.item_id,
        row_number() OVER (
            PARTITION BY queries.direction, queries.query_id
            ORDER BY md5_number_lower($seed || ':' || queries.query_id || ':' || items.item_id), items.item_id
        ) AS place
    FROM queries
    JOIN items ON items.direction = queries.direction AND items.peers = queries.peers
        AND items.product_id <> queries.product_id
    QUALIFY place <= $negatives
),
found AS (
    SELECT direction, query_id, product_id, peers, count(from_peers.item_id) AS count
    FROM queries
    LEFT JOIN from_peers USING (direction, query_id)
    GROUP BY ALL
),
from_others AS (
    SELECT
        found.direction,
        found.query_id,
        items.item_id,
        found.count + row_number() OVER (
            PARTITION BY found.direction, found.query_id
            ORDER BY md5_number_lower($seed || ':' || found.query_id || ':' || items.item_id), items.item_id
        ) AS place
    FROM found
    JOIN items ON items.direction = found.direction AND items.peers IS DISTINCT FROM found.peers
        AND items.product_id <> found.product_id
    WHERE found.count < $negatives
    QUALIFY place <= $negatives
),
drawn AS (
    SELECT
        direction,
        query_id,
        list(item_id ORDER BY place) AS negative_ids,
        count(*) FILTER (WHERE outside) AS shortfall
    FROM (
        SELECT *, false AS outside FROM from_peers
        UNION ALL
        SELECT *, true FROM from_others
    )
    GROUP BY direction, query_id
)
SELECT
    $dataset AS dataset,
    'sample100' AS protocol,
    queries.direction,
    queries.query_id,
    queries.product_id,
    queries.positive_id,
    coalesce(drawn.negative_ids, []) AS negative_ids,
    coalesce(drawn.shortfall, 0) AS shortfall
FROM queries
LEFT JOIN drawn USING (direction, query_id)
ORDER BY queries.direction, queries.query_id
