-- quarantine_reasons: one row per kind of reason for which raw rows are in quarantine, over all files.
-- Source: profile_quarantine.
-- Parameters: $dataset, $shown.
SELECT kind, sum(rows)::BIGINT AS rows, count(DISTINCT source) AS files, min(example) AS example
FROM profile_quarantine
WHERE dataset = $dataset
GROUP BY kind
ORDER BY rows DESC, kind
LIMIT $shown
