-- candidate_lists: one row per query, protocol and draw: 100 irrelevant items to rank the relevant one among.
-- They are drawn once, so that every variant ranks the same lists. In i2t a photo asks for the text of its product
-- (items are product ids), in t2i a product's text asks for one of its photos (items are image ids). At the product
-- level both ask and answer by product ids. Negatives are of other products of the same subcategory. sample100 and
-- its distinct twin draw in one order, so that their lists differ by the duplicates alone. sample100_5x1000 draws
-- 1,000 queries (all, where there are fewer) five times, each time with lists of its own. The order of a query's
-- negatives is that of (item's number x query's number) modulo a prime, numbers from md5 digests: any two queries
-- see items in different orders, no version of DuckDB moves them, and it costs a fifth of a digest a pair.
-- Source: products, images, product_groups; test split only.
-- Parameters: $dataset, $seed, $negatives, $draws, $draw_queries.
-- protocol: sample100; sample100_distinct: without known duplicates of the query's product; sample100_product: a
--   product's photos as one item; sample100_5x1000: as others report it
-- direction: i2t (photo to text) | t2i (text to photo)
-- product_id: product that the query is of
-- positive_id: the relevant item
-- negative_ids: the 100 irrelevant items, in the order of the list
-- shortfall: how many of the negatives had to come from outside the query's subcategory
WITH rules AS (
    SELECT *
    FROM (VALUES
        ('sample100', 0, 'image', false, NULL::BIGINT),
        ('sample100_distinct', 0, 'image', true, NULL),
        ('sample100_product', 0, 'product', false, NULL)
    ) AS rule (protocol, draw, level, is_distinct, most_queries)
    UNION ALL
    SELECT 'sample100_5x1000', unnest(range(1, $draws + 1))::INTEGER, 'image', false, $draw_queries
),
tested AS (
    SELECT product_id, subcategory AS peers, coalesce(product_groups.group_id, product_id) AS group_id
    FROM products
    LEFT JOIN product_groups USING (product_id)
    WHERE split = 'test'
),
photos AS (
    SELECT images.image_id, tested.*
    FROM images
    JOIN tested USING (product_id)
    WHERE images.split = 'test'
),
kinds_of_items AS (
    SELECT 'image' AS level, 'i2t' AS direction, product_id AS item_id, * FROM tested
    UNION ALL
    SELECT 'image', 't2i', * FROM photos
    UNION ALL
    SELECT 'product', direction, product_id, tested.* FROM tested, (VALUES ('i2t'), ('t2i')) AS way (direction)
),
items AS (
    SELECT *, md5_number_lower(item_id) AS digest, 1 + digest % 4294967290 AS number
    FROM kinds_of_items
),
-- A query is what is an item the other way round.
queries AS (
    SELECT level, if(direction = 'i2t', 't2i', 'i2t') AS direction, item_id AS query_id, product_id, peers, group_id
    FROM kinds_of_items
),
drawn_queries AS (
    SELECT
        rules.*,
        queries.* EXCLUDE (level),
        $seed || CASE WHEN rules.draw > 0 THEN '/' || rules.draw ELSE '' END AS draw_seed,
        1 + md5_number_lower(draw_seed || ':' || queries.query_id) % 4294967290 AS number
    FROM rules
    JOIN queries USING (level)
    QUALIFY rules.most_queries IS NULL OR row_number() OVER (
        PARTITION BY rules.protocol, rules.draw, queries.direction
        ORDER BY md5('query:' || draw_seed || ':' || queries.query_id)
    ) <= rules.most_queries
),
positives AS (
    SELECT
        level, direction, draw_seed, product_id,
        min_by(items.item_id, md5('positive:' || draw_seed || ':' || items.item_id)) AS positive_id
    FROM items
    JOIN (SELECT DISTINCT level, direction, draw_seed, product_id FROM drawn_queries) USING (level, direction, product_id)
    GROUP BY ALL
),
-- So many more than are wanted that, with the known duplicates left out, enough remain.
spare AS (
    SELECT coalesce(max(items), 0) AS items
    FROM (SELECT count(*) AS items FROM items GROUP BY level, direction, group_id)
),
from_peers AS (
    SELECT
        asking.level,
        asking.direction,
        asking.draw_seed,
        asking.query_id,
        min_by(
            {'item_id': items.item_id, 'is_distinct': items.group_id <> asking.group_id},
            -- Below the prime's bits some of the item's own, so that no two are equal.
            (asking.number * items.number) % 4294967291 * 2147483648 + (items.digest >> 33),
            $negatives + (SELECT items FROM spare)
        ) AS drawn
    FROM (
        SELECT DISTINCT level, direction, draw_seed, query_id, number, product_id, peers, group_id
        FROM drawn_queries
    ) AS asking
    JOIN items ON items.level = asking.level AND items.direction = asking.direction AND items.peers = asking.peers
        AND items.product_id <> asking.product_id
    GROUP BY ALL
),
asked AS (
    SELECT
        drawn_queries.*,
        list_transform(
            list_filter(
                coalesce(from_peers.drawn, []), lambda one: NOT drawn_queries.is_distinct OR one.is_distinct
            )[:$negatives],
            lambda one: one.item_id
        ) AS peer_ids
    FROM drawn_queries
    LEFT JOIN from_peers USING (level, direction, draw_seed, query_id)
),
from_others AS (
    SELECT
        asked.protocol,
        asked.draw,
        asked.direction,
        asked.query_id,
        min_by(
            items.item_id,
            (asked.number * items.number) % 4294967291 * 2147483648 + (items.digest >> 33),
            $negatives
        ) AS drawn
    FROM asked
    JOIN items ON items.level = asked.level AND items.direction = asked.direction
        AND items.peers IS DISTINCT FROM asked.peers AND items.product_id <> asked.product_id
        AND (NOT asked.is_distinct OR items.group_id <> asked.group_id)
    WHERE len(asked.peer_ids) < $negatives
    GROUP BY ALL
),
filled AS (
    SELECT
        asked.*,
        positives.positive_id,
        coalesce(from_others.drawn, [])[:$negatives - len(asked.peer_ids)] AS other_ids
    FROM asked
    JOIN positives USING (level, direction, draw_seed, product_id)
    LEFT JOIN from_others USING (protocol, draw, direction, query_id)
)
SELECT
    $dataset AS dataset,
    protocol,
    draw,
    direction,
    query_id,
    product_id,
    positive_id,
    list_concat(peer_ids, other_ids) AS negative_ids,
    len(other_ids) AS shortfall
FROM filled
ORDER BY protocol, draw, direction, query_id
