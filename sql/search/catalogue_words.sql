-- catalogue_words: one row per word that titles and descriptions of at least two training products have.
-- Source: products; of one dataset. A word of a single product may be the shop's own slip.
-- word: the word, in lower case
WITH words AS (
    SELECT
        product_id,
        unnest(string_split_regex(lower(concat_ws(' ', title, description)), '[^\p{L}\p{N}]+')) AS word
    FROM products
    WHERE split = 'train'
)
SELECT word
FROM words
WHERE word <> ''
GROUP BY word
HAVING count(DISTINCT product_id) > 1
ORDER BY word
