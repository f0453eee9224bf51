-- profile_cut: one row: the context length, and the share of descriptions that are longer.
-- Source: profile_descriptions.
-- Parameters: $dataset.
SELECT any_value(context_length) AS context_length, sum(cut) / sum(descriptions) AS cut_share
FROM profile_descriptions
WHERE dataset = $dataset
HAVING count(*) > 0
