-- split_lengths: one row per split: products, photos and lengths of descriptions.
-- Source: profile_splits, profile_descriptions.
-- Parameters: $dataset.
SELECT profile_splits.*, tokens_median, tokens_p95, tokens_max, cut, cut_share, duplicates
FROM profile_splits
LEFT JOIN profile_descriptions USING (dataset, split)
WHERE dataset = $dataset
ORDER BY list_position(['train', 'validation', 'test', 'excluded'], split)
