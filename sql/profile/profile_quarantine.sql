-- profile_quarantine: one row per raw file and kind of reason for which rows of it were set aside.
-- Source: quarantine.
-- kind: a reason's text before its colon
-- rows: number of raw rows
-- example: a whole reason
SELECT dataset, source, trim(split_part(reason, ':', 1)) AS kind, count(*) AS rows, min(reason) AS example
FROM quarantine
GROUP BY ALL
ORDER BY dataset, rows DESC, source, kind
