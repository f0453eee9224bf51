-- query_facets: one row per test product and facet that applies to it: what recall is broken down by.
-- Source: products (test split), product_entities, semantic_prior, entity_vocabulary (which groups there are).
-- Facets: 'brand' and 'subcategory' (the entity; no row without one); '<group> state' of every entity group: known,
--   unseen (never in training, or too rarely to have an embedding) or missing; 'brand confounded': the share of
--   training products with the brand's words in their description or tag that are not tagged with it ('0 %', '0 to
--   10 %', '10 to 50 %', '50 to 100 %', upper ends included), 'unseen brand' where training never tags it, 'no
--   brand'; 'meanings': several if the prior of any of the product's entities is shared between groups, one if of
--   none (no row without entities).
-- facet: brand | subcategory | '<group> state' | brand confounded | meanings
-- value: the product's value of the facet
WITH tested AS (
    SELECT dataset, product_id
    FROM products
    WHERE split = 'test'
),
entities AS (
    SELECT tested.dataset, tested.product_id, entity_group, entity, entity_id
    FROM tested
    JOIN product_entities USING (dataset, product_id)
),
groups AS (
    SELECT DISTINCT dataset, entity_group
    FROM entity_vocabulary
),
states AS (
    SELECT
        tested.dataset,
        tested.product_id,
        groups.entity_group,
        entities.entity,
        CASE
            WHEN entities.entity IS NULL THEN 'missing'
            WHEN entities.entity_id = 0 THEN 'unseen'
            ELSE 'known'
        END AS state
    FROM tested
    JOIN groups USING (dataset)
    LEFT JOIN entities USING (dataset, product_id, entity_group)
),
brands AS (
    SELECT
        states.dataset,
        states.product_id,
        states.entity,
        semantic_prior.untagged_mentions / (semantic_prior.untagged_mentions + semantic_prior.tagged_count) AS untagged_share
    FROM states
    LEFT JOIN semantic_prior USING (dataset, entity, entity_group)
    WHERE states.entity_group = 'brand'
),
meanings AS (
    SELECT entities.dataset, entities.product_id, coalesce(bool_or(semantic_prior.prior < 1), false) AS is_several
    FROM entities
    LEFT JOIN semantic_prior USING (dataset, entity, entity_group)
    GROUP BY ALL
),
facets AS (
    SELECT dataset, product_id, entity_group AS facet, entity AS value
    FROM entities
    WHERE entity_group IN ('brand', 'subcategory')
    UNION ALL
    SELECT dataset, product_id, entity_group || ' state' AS facet, state AS value
    FROM states
    UNION ALL
    SELECT
        dataset,
        product_id,
        'brand confounded' AS facet,
        CASE
            WHEN entity IS NULL THEN 'no brand'
            WHEN untagged_share IS NULL THEN 'unseen brand'
            WHEN untagged_share = 0 THEN '0 %'
            WHEN untagged_share <= 0.1 THEN '0 to 10 %'
            WHEN untagged_share <= 0.5 THEN '10 to 50 %'
            ELSE '50 to 100 %'
        END AS value
    FROM brands
    UNION ALL
    SELECT dataset, product_id, 'meanings' AS facet, if(is_several, 'several', 'one') AS value
    FROM meanings
)
SELECT dataset, product_id, facet, value
FROM facets
ORDER BY product_id, facet, value
