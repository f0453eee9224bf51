-- profile_tokens: one row per bucket of description lengths in tokens: products.
-- Source: profile_token_histogram.
-- Parameters: $dataset.
SELECT tokens, products FROM profile_token_histogram WHERE dataset = $dataset ORDER BY tokens
