-- several_meanings: one row per test product that carries an entity tagged under several groups in training.
-- Source: product_entities, semantic_prior.
SELECT DISTINCT product_id
FROM product_entities
JOIN semantic_prior USING (entity)
WHERE product_entities.split = 'test' AND semantic_prior.prior < 1
ORDER BY product_id
