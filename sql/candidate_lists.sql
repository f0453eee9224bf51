-- candidate_lists: one row per query and protocol with 100 negatives, drawn once so that every variant ranks the same lists.
-- Columns: dataset, protocol (sample100; sample100_distinct: without known duplicates of the query's product), direction
--   (i2t | t2i), query_id, product_id, positive_id, negative_ids, shortfall (how many of the negatives had to come from
--   outside the query's subcategory).
-- i2t: a photo asks for the text of its product (items are product ids); t2i: a product's text asks for one of its
-- photos (items are image ids). Negatives are of other products of the same subcategory. Both protocols draw in one order,
-- so that their lists differ by the duplicates alone.
-- Source: products, images, product_groups; test split only.
-- Parameters: $dataset, $seed, $negatives.
WITH listed AS (
    SELECT 'i2t' AS direction, product_id AS item_id, product_id, subcategory AS peers
    FROM products
    WHERE split = 'test'
    UNION ALL
    SELECT 't2i', images.image_id, images.product_id, products.subcategory
    FROM images
    JOIN products USING (dataset, product_id)
    WHERE images.split = 'test'
),
items AS (
    SELECT listed.*, coalesce(product_groups.group_id, listed.product_id) AS group_id
    FROM listed
    LEFT JOIN product_groups USING (product_id)
),
queries AS (
    SELECT 'i2t' AS direction, item_id AS query_id, product_id, peers, group_id, product_id AS positive_id
    FROM items
    WHERE direction = 't2i'
    UNION ALL
    SELECT
        't2i', product_id, product_id, any_value(peers), any_value(group_id),
        min_by(item_id, md5('positive:' || $seed || ':' || item_id))
    FROM items
    WHERE direction = 't2i'
    GROUP BY product_id
),
from_peers AS (
    SELECT
        queries.direction,
        queries.query_id,
        items.item_id,
        items.group_id <> queries.group_id AS is_distinct,
        row_number() OVER draw AS place,
        count(*) FILTER (WHERE is_distinct) OVER draw AS distinct_place
    FROM queries
    JOIN items ON items.direction = queries.direction AND items.peers = queries.peers
        AND items.product_id <> queries.product_id
    WINDOW draw AS (
        PARTITION BY queries.direction, queries.query_id
        ORDER BY md5_number_lower($seed || ':' || queries.query_id || ':' || items.item_id), items.item_id
        ROWS UNBOUNDED PRECEDING
    )
    QUALIFY place <= $negatives OR (is_distinct AND distinct_place <= $negatives)
),
listed_peers AS (
    SELECT 'sample100' AS protocol, direction, query_id, item_id, place
    FROM from_peers
    WHERE place <= $negatives
    UNION ALL
    SELECT 'sample100_distinct', direction, query_id, item_id, distinct_place
    FROM from_peers
    WHERE is_distinct AND distinct_place <= $negatives
),
asked AS (
    SELECT protocol, queries.*
    FROM queries, (SELECT unnest(['sample100', 'sample100_distinct']) AS protocol)
),
found AS (
    SELECT protocol, direction, query_id, product_id, peers, group_id, count(listed_peers.item_id) AS count
    FROM asked
    LEFT JOIN listed_peers USING (protocol, direction, query_id)
    GROUP BY ALL
),
from_others AS (
    SELECT
        found.protocol,
        found.direction,
        found.query_id,
        items.item_id,
        found.count + row_number() OVER (
            PARTITION BY found.protocol, found.direction, found.query_id
            ORDER BY md5_number_lower($seed || ':' || found.query_id || ':' || items.item_id), items.item_id
        ) AS place
    FROM found
    JOIN items ON items.direction = found.direction AND items.peers IS DISTINCT FROM found.peers
        AND items.product_id <> found.product_id
        AND (found.protocol = 'sample100' OR items.group_id <> found.group_id)
    WHERE found.count < $negatives
    QUALIFY place <= $negatives
),
drawn AS (
    SELECT
        protocol,
        direction,
        query_id,
        list(item_id ORDER BY place) AS negative_ids,
        count(*) FILTER (WHERE outside) AS shortfall
    FROM (
        SELECT *, false AS outside FROM listed_peers
        UNION ALL
        SELECT *, true FROM from_others
    )
    GROUP BY protocol, direction, query_id
)
SELECT
    $dataset AS dataset,
    asked.protocol,
    asked.direction,
    asked.query_id,
    asked.product_id,
    asked.positive_id,
    coalesce(drawn.negative_ids, []) AS negative_ids,
    coalesce(drawn.shortfall, 0) AS shortfall
FROM asked
LEFT JOIN drawn USING (protocol, direction, query_id)
ORDER BY asked.protocol, asked.direction, asked.query_id
