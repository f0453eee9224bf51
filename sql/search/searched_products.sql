-- searched_products: one row per product: the facts that search shows and filters by.
-- Source: products, product_entities, images, offers; of one dataset.
-- image_id: id of its first photo
WITH groups AS (
    SELECT product_id, entity_group, list(entity ORDER BY ordinal) AS entities
    FROM product_entities
    GROUP BY product_id, entity_group
),
tags AS (
    SELECT product_id, map_from_entries(list((entity_group, entities) ORDER BY entity_group)) AS entities
    FROM groups
    GROUP BY product_id
),
first_photos AS (
    SELECT product_id, min_by(image_id, row(source, place)) AS image_id
    FROM images
    GROUP BY product_id
)
SELECT
    products.product_id,
    products.split,
    products.title,
    products.description,
    products.category,
    products.subcategory,
    products.department,
    products.gender,
    products.price,
    offers.currency,
    offers.available,
    offers.link,
    offers.attributes,
    tags.entities,
    first_photos.image_id
FROM products
LEFT JOIN tags USING (product_id)
LEFT JOIN first_photos USING (product_id)
LEFT JOIN offers USING (product_id)
ORDER BY products.product_id
