-- product_words: one row per training product: the words of its description, each once, in lower case.
-- Source: products, catalogue.
-- words: its words
SELECT catalogue.number, list_distinct(regexp_extract_all(lower(products.description), '[\p{L}\p{N}]+')) AS words
FROM products
JOIN catalogue USING (product_id)
WHERE catalogue.is_training
