-- cut_share: one row: the share of test descriptions that are longer than the context.
-- Source: profile_descriptions.
-- Parameters: $dataset.
SELECT cut_share, context_length
FROM profile_descriptions
WHERE dataset = $dataset AND split = 'test'
