-- related_items: one row per product and product that its line of Amazon metadata names as related.
-- Source: lines, the metadata as DuckDB reads it, every field as text (a list as JSON).
-- Parameters: $dataset, $id (regular expression of a product's id).
-- related_id: id of the related product
-- kind: 'also_buy' | 'also_view' | 'bought_together' | 'buy_after_viewing'; 2014's also_bought and also_viewed are
--   the first two
WITH typed AS (
    SELECT
        trim(coalesce(parent_asin, asin)) AS product_id,
        [
            {kind: 'also_buy', items: also_buy},
            {kind: 'also_view', items: also_view},
            {kind: 'bought_together', items: bought_together},
            {kind: 'also_buy', items: try(related::JSON ->> '$.also_bought')},
            {kind: 'also_view', items: try(related::JSON ->> '$.also_viewed')},
            {kind: 'bought_together', items: try(related::JSON ->> '$.bought_together')},
            {kind: 'buy_after_viewing', items: try(related::JSON ->> '$.buy_after_viewing')}
        ] AS lists
    FROM lines
    WHERE coalesce(also_buy, also_view, bought_together, related) IS NOT NULL
),
-- Lists of lists and objects come out as texts that are no ids.
named AS (
    SELECT product_id, list.kind, unnest(try(list.items::JSON::VARCHAR[])) AS related_id
    FROM (SELECT product_id, unnest(lists) AS list FROM typed)
    WHERE starts_with(ltrim(list.items), '[')
)
SELECT $dataset AS dataset, product_id, trim(related_id) AS related_id, kind
FROM named
WHERE regexp_full_match(product_id, $id) AND regexp_full_match(trim(related_id), $id)
