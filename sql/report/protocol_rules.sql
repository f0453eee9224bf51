-- protocol_rules: one row per protocol: its rule, and where its lists fell short.
-- Source: protocols.
-- Parameters: $dataset.
SELECT protocol, rule, level, candidates, queries, draws, seed, with_shortfall, negatives_short
FROM protocols
WHERE dataset = $dataset
ORDER BY protocol
