-- entity_ids_are_dense: one row per entity group whose ids do not run from 0 to their number less one, or whose id 0 is
--   not `<unk>`.
SELECT entity_group, min(entity_id) AS first_id, max(entity_id) AS last_id, count(DISTINCT entity_id) AS ids
FROM entity_vocabulary
GROUP BY entity_group
HAVING first_id <> 0 OR last_id <> count(*) - 1 OR ids <> count(*) OR min_by(entity, entity_id) <> '<unk>'
ORDER BY entity_group
