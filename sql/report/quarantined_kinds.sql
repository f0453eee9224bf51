-- quarantined_kinds: one row per kind of reason for which raw rows are in quarantine, the commonest first.
-- Source: quarantine.
-- Parameters: $dataset, $shown.
SELECT
    trim(split_part(reason, ':', 1)) AS kind,
    count(*) AS rows,
    count(DISTINCT source) AS files,
    min(reason) AS example
FROM quarantine
WHERE dataset = $dataset
GROUP BY kind
ORDER BY rows DESC, kind
LIMIT $shown
