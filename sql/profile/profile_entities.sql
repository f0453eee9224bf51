-- profile_entities: one row per entity group of the dataset, tagged or not.
-- Source: products, product_entities, entity_vocabulary.
-- Parameters: $paper_groups, $paper_entities (two lists in step).
-- tagged_products: products tagged with an entity of the group
-- coverage: their share of all products
-- entities: entities with an embedding of their own
-- distinct_entities: entities over all splits, however rare
-- unseen_in_test: tagged test products none of whose entities has an embedding of its own
-- paper_entities: the paper's count, NULL where it has none
WITH paper AS (
    SELECT unnest($paper_groups::VARCHAR[]) AS entity_group, unnest($paper_entities::BIGINT[]) AS paper_entities
),
vocabulary AS (
    SELECT dataset, entity_group, count(*) FILTER (WHERE entity_id <> 0) AS entities
    FROM entity_vocabulary
    GROUP BY dataset, entity_group
),
tagged AS (
    SELECT
        entity_group,
        count(DISTINCT product_id) AS tagged_products,
        count(DISTINCT entity) AS distinct_entities,
        count(DISTINCT product_id) FILTER (WHERE split = 'test')
            - count(DISTINCT product_id) FILTER (WHERE split = 'test' AND entity_id > 0) AS unseen_in_test
    FROM product_entities
    GROUP BY entity_group
)
SELECT
    vocabulary.dataset,
    vocabulary.entity_group,
    coalesce(tagged.tagged_products, 0) AS tagged_products,
    coalesce(tagged.tagged_products / nullif((SELECT count(*) FROM products), 0), 0) AS coverage,
    vocabulary.entities,
    coalesce(tagged.distinct_entities, 0) AS distinct_entities,
    coalesce(tagged.unseen_in_test, 0) AS unseen_in_test,
    paper.paper_entities
FROM vocabulary
LEFT JOIN tagged USING (entity_group)
LEFT JOIN paper USING (entity_group)
ORDER BY vocabulary.entity_group
