-- click_log: one row per usable click of a log, none of them twice.
-- Columns: dataset, row (in its file, from 0), source (the file's name), session, time (UTC; empty where the log has none), item,
--   trigger (the product shown when another was clicked; empty in a log of sessions).
-- Source: log_rows, the rows of all files, in order.
-- Parameters: $dataset, $sources (the files' names).
SELECT $dataset AS dataset, "row", $sources[file + 1] AS source, session, "time", item, "trigger"
FROM log_rows
WHERE reason IS NULL
