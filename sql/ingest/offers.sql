-- offers: one row per product: what the shop says of it beside texts and tags: stock, page, values to filter by.
-- All its raw rows count, variants without a photo of their own too: it is in stock where one of them is, and has the
-- values of all. Texts, tags and prices stay those of its first row (`products`); training reads nothing from here.
-- Source: records, products.
-- Parameters: $shop_url (address of a product's page with '{product_id}' in it; empty: none).
WITH rows_of AS (
    SELECT product_id, source, place, currency, available, link, attributes
    FROM records
    SEMI JOIN products USING (product_id)
),
merged AS (
    SELECT
        product_id,
        arg_min(currency, row(source, place)) AS currency,
        bool_or(available) AS available,
        arg_min(link, row(source, place)) AS link
    FROM rows_of
    GROUP BY product_id
),
tags AS (
    SELECT product_id, source, place, unnest(map_entries(attributes), recursive := true)
    FROM rows_of
),
valued AS (
    SELECT
        product_id,
        source,
        place,
        key AS attribute,
        unnest(value) AS value,
        generate_subscripts(value, 1) AS number
    FROM tags
),
first_values AS (
    SELECT product_id, attribute, value, min(row(source, place, number)) AS first_row
    FROM valued
    GROUP BY product_id, attribute, value
),
listed AS (
    SELECT product_id, attribute, list(value ORDER BY first_row) AS value_list
    FROM first_values
    GROUP BY product_id, attribute
),
mapped AS (
    SELECT product_id, map_from_entries(list((attribute, value_list) ORDER BY attribute)) AS attributes
    FROM listed
    GROUP BY product_id
)
SELECT
    products.dataset,
    products.product_id,
    merged.currency,
    merged.available,
    coalesce(merged.link, nullif(replace($shop_url, '{product_id}', url_encode(products.product_id)), '')) AS link,
    coalesce(mapped.attributes, MAP {}) AS attributes
FROM products
JOIN merged USING (product_id)
LEFT JOIN mapped USING (product_id)
ORDER BY products.product_id
