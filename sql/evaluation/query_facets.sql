-- query_facets: one row per test product, facet and value of it: what recall is broken down by.
-- Source: products (test split), product_entities, semantic_prior, entity_vocabulary (which groups there are).
-- Parameters: $group (the entity group that names makers), $negatives_group.
-- Facets: these two groups (the entity; a row each of several, none without one); '<group> state' of every
--   entity group: known, unseen (never in training, or too rarely to have an embedding; of several entities: all of
--   them) or missing; '<group> confounded' of the makers' group: the share of training products with the entity's
--   words in their description or tag that are not tagged with it, of several entities the highest ('0 %',
--   '0 to 10 %', '10 to 50 %', '50 to 100 %', upper ends included), 'unseen <group>' where training never tags it,
--   'no <group>'; 'meanings': several if the
--   prior of any of the product's entities is shared between groups, one if of none (no row without entities).
-- facet: <group> | '<group> state' | '<group> confounded' | meanings
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
        CASE max(entities.entity_id > 0) WHEN true THEN 'known' WHEN false THEN 'unseen' ELSE 'missing' END AS state,
        max(semantic_prior.untagged_mentions / (semantic_prior.untagged_mentions + semantic_prior.tagged_count))
            AS untagged_share
    FROM tested
    JOIN groups USING (dataset)
    LEFT JOIN entities USING (dataset, product_id, entity_group)
    LEFT JOIN semantic_prior USING (dataset, entity, entity_group)
    GROUP BY ALL
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
    WHERE entity_group IN ($group, $negatives_group)
    UNION ALL
    SELECT dataset, product_id, entity_group || ' state' AS facet, state AS value
    FROM states
    UNION ALL
    SELECT
        dataset,
        product_id,
        $group || ' confounded' AS facet,
        CASE
            WHEN state = 'missing' THEN 'no ' || $group
            WHEN untagged_share IS NULL THEN 'unseen ' || $group
            WHEN untagged_share = 0 THEN '0 %'
            WHEN untagged_share <= 0.1 THEN '0 to 10 %'
            WHEN untagged_share <= 0.5 THEN '10 to 50 %'
            ELSE '50 to 100 %'
        END AS value
    FROM states
    WHERE entity_group = $group
    UNION ALL
    SELECT dataset, product_id, 'meanings' AS facet, if(is_several, 'several', 'one') AS value
    FROM meanings
)
SELECT dataset, product_id, facet, value
FROM facets
ORDER BY product_id, facet, value
