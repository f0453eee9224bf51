-- embeddings: one row per item of a variant and kind: its embedding, in the order of ids.
-- Source: embeddings.
-- Parameters: $dataset, $variant, $kind.
SELECT item_id, product_id, embedding
FROM embeddings
WHERE dataset = $dataset AND variant = $variant AND kind = $kind
ORDER BY item_id
