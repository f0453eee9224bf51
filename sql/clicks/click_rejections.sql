-- click_rejections: one row per click of a log that is not used.
-- Source: log_rows, the rows of all files.
-- Parameters: $dataset, $sources (the files' names).
-- source: name of the log's file
-- row: row of the click in its file, from 0
-- reason: why the click is not used; what differs from row to row stands behind a colon
SELECT $dataset AS dataset, $sources[file + 1] AS source, "row", reason
FROM log_rows
WHERE reason IS NOT NULL
ORDER BY file, "row", place
