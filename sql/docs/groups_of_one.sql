-- groups_of_one: one row per dataset and entity group of which training knows fewer than two entities.
-- entities: those of the vocabulary, without the one for unknown names.
SELECT dataset, entity_group, count(*) FILTER (WHERE entity_id > 0) AS entities
FROM entity_vocabulary
GROUP BY dataset, entity_group
HAVING entities < 2
ORDER BY dataset, entity_group
