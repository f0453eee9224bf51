-- profile_compositions: one row per dataset: how far its compositions could be taken apart.
-- Source: compositions, product_entities.
-- Parameters: $dataset, $shown (fibres in the list).
-- compositions: distinct compositions
-- parsed: those that could be parsed
-- unparsed: those that could not
-- products_unparsed: products of those that could not
-- incomplete: parsed ones of which a component's shares are not all given or miss 100
-- fibres: the most common fibres, each with its number of products
WITH used AS (
    SELECT entity AS composition, product_id
    FROM product_entities
    WHERE entity_group = 'composition'
),
strings AS (
    SELECT composition, bool_or(parsed) AS is_parsed, coalesce(bool_and(complete), false) AS is_complete
    FROM compositions
    GROUP BY composition
),
fibres AS (
    SELECT fibre, count(DISTINCT product_id) AS products
    FROM (SELECT DISTINCT composition, fibre FROM compositions WHERE fibre IS NOT NULL)
    JOIN used USING (composition)
    GROUP BY fibre
    ORDER BY products DESC, fibre
    LIMIT $shown
)
SELECT
    $dataset AS dataset,
    count(*) AS compositions,
    count(*) FILTER (WHERE is_parsed) AS parsed,
    count(*) FILTER (WHERE NOT is_parsed) AS unparsed,
    (SELECT count(DISTINCT product_id) FROM used JOIN strings USING (composition) WHERE NOT is_parsed)
        AS products_unparsed,
    count(*) FILTER (WHERE is_parsed AND NOT is_complete) AS incomplete,
    (SELECT coalesce(list({'fibre': fibre, 'products': products} ORDER BY products DESC, fibre), []) FROM fibres)
        AS fibres
FROM strings
