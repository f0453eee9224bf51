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
-- So many more than are wanted that, with the known duplicates left out, enough remain.
spare AS (
    SELECT coalesce(max(items), 0) AS items
    FROM (SELECT count(*) AS items FROM items GROUP BY direction, group_id)
),
from_peers AS (
    SELECT
        queries.direction,
        queries.query_id,
        min_by(
            {'item_id': items.item_id, 'is_distinct': items.group_id <> queries.group_id},
            md5_number_lower($seed || ':' || queries.query_id || ':' || items.item_id),
            $negatives + (SELECT items FROM spare)
        ) AS drawn
    FROM queries
    JOIN items ON items.direction = queries.direction AND items.peers = queries.peers
        AND items.product_id <> queries.product_id
    GROUP BY queries.direction, queries.query_id
),
asked AS (
    SELECT
        protocol,
        queries.*,
        list_transform(
            list_filter(
                coalesce(from_peers.drawn, []), lambda one: protocol = 'sample100' OR one.is_distinct
            )[:$negatives],
            lambda one: one.item_id
        ) AS peer_ids
    FROM queries
    CROSS JOIN (SELECT unnest(['sample100', 'sample100_distinct']) AS protocol)
    LEFT JOIN from_peers USING (direction, query_id)
),
from_others AS (
    SELECT
        asked.protocol,
        asked.direction,
        asked.query_id,
        min_by(
            items.item_id, md5_number_lower($seed || ':' || asked.query_id || ':' || items.item_id), $negatives
        ) AS drawn
    FROM asked
    JOIN items ON items.direction = asked.direction AND items.peers IS DISTINCT FROM asked.peers
        AND items.product_id <> asked.product_id
        AND (asked.protocol = 'sample100' OR items.group_id <> asked.group_id)
    WHERE len(asked.peer_ids) < $negatives
    GROUP BY asked.protocol, asked.direction, asked.query_id
),
filled AS (
    SELECT asked.*, coalesce(from_others.drawn, [])[:$negatives - len(asked.peer_ids)] AS other_ids
    FROM asked
    LEFT JOIN from_others USING (protocol, direction, query_id)
)
SELECT
    $dataset AS dataset,
    protocol,
    direction,
    query_id,
    product_id,
    positive_id,
    list_concat(peer_ids, other_ids) AS negative_ids,
    len(other_ids) AS shortfall
FROM filled
ORDER BY protocol, direction, query_id
