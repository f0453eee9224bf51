-- profile_token_histogram: one row per length of description that occurs, in buckets of a few tokens.
-- Source: profile_tokens.
-- Parameters: $width (tokens a bucket).
-- tokens: the bucket's smallest length
SELECT dataset, (tokens // $width * $width)::INTEGER AS tokens, count(*) AS products
FROM profile_tokens
GROUP BY ALL
ORDER BY ALL
