-- embeddings_are_finite: one row per embedding that is not finite or not of length one.
-- NaN fails every comparison, so it is among them.
SELECT * EXCLUDE (embedding)
FROM embeddings
WHERE NOT coalesce(abs(list_inner_product(embedding, embedding) - 1) < 0.001, false)
