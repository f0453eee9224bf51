-- profile_descriptions: one row per split that holds products: how long their descriptions are, in tokens.
-- Source: products, profile_tokens.
-- Parameters: $context_length, the tokens that the models' text tower takes.
-- descriptions: number of descriptions
-- tokens_min: fewest tokens, start and end marks included, before any cut
-- tokens_median: median of tokens
-- tokens_p95: 95th percentile of tokens
-- tokens_max: most tokens
-- cut: descriptions longer than the context
-- cut_share: their share of all descriptions
-- context_length: tokens that the models' text tower takes
-- duplicates: products whose description another product, of whatever split, has too
WITH counted AS (
    SELECT
        products.dataset,
        products.split,
        profile_tokens.tokens,
        count(*) OVER (PARTITION BY md5_number_lower(products.description)) > 1 AS is_duplicate
    FROM products
    JOIN profile_tokens USING (dataset, product_id)
)
SELECT
    dataset,
    split,
    count(*) AS descriptions,
    min(tokens) AS tokens_min,
    quantile_disc(tokens, 0.5) AS tokens_median,
    quantile_disc(tokens, 0.95) AS tokens_p95,
    max(tokens) AS tokens_max,
    count(*) FILTER (WHERE tokens > $context_length) AS cut,
    cut / count(*) AS cut_share,
    $context_length::INTEGER AS context_length,
    count(*) FILTER (WHERE is_duplicate) AS duplicates
FROM counted
GROUP BY dataset, split
ORDER BY dataset, list_position(['train', 'validation', 'test', 'excluded'], split)
