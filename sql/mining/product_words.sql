-- product_words: one row per training product: the words of its description, each once, in lower case.
-- Columns: number, words.
-- Source: products, catalogue.
SELECT catalogue.number, list_distinct(regexp_extract_all(lower(products.description), '[\p{L}\p{N}]+')) AS words
FROM products
JOIN catalogue USING (product_id)
WHERE catalogue.is_training
