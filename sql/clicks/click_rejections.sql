-- click_rejections: one row per click of a log that is not used.
-- Columns: dataset, source (the file's name), row (in the file, from 0), reason.
-- Source: log_rows, the rows of all files.
-- Parameters: $dataset, $sources (the files' names).
SELECT $dataset AS dataset, $sources[file + 1] AS source, "row", reason
FROM log_rows
WHERE reason IS NOT NULL
ORDER BY file, "row", place
