-- composition_profile: one row: how many compositions could be parsed, and the fibres most products are of.
-- Source: profile_compositions.
-- Parameters: $dataset.
SELECT compositions, parsed, unparsed, products_unparsed, incomplete, fibres
FROM profile_compositions
WHERE dataset = $dataset AND compositions > 0
