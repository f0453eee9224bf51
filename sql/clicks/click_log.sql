-- click_log: one row per usable click of a log, none of them twice.
-- Source: log_rows, the rows of all files, in order.
-- Parameters: $dataset, $sources (the files' names).
-- row: row of the click in its file, from 0
-- source: name of the log's file
-- time: when (UTC); empty where the log has none
-- trigger: the product shown when another was clicked; empty in a log of sessions
SELECT $dataset AS dataset, "row", $sources[file + 1] AS source, session, "time", item, "trigger"
FROM log_rows
WHERE reason IS NULL
