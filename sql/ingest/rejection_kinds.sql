-- rejection_kinds: one row per kind of reason for which raw rows were rejected, with an example.
-- Source: records.
-- example: a reason of the kind
-- rows: number of rows
SELECT min(reason) AS example, count(*) AS rows
FROM records
WHERE reason IS NOT NULL
GROUP BY split_part(reason, ':', 1)
ORDER BY rows DESC, example
