-- log_rows: one row per click of one file of a log, usable or with the reason why not.
-- Source: raw_rows, the file's columns by what they mean: texts, and a TIMESTAMP that is empty where it cannot be read.
-- Parameters: $file, $latest (what is later is clock skew), $timed, $triggered (which columns the log has).
-- file: number of the file in the log
-- row: row of the click in its file, from 0
-- place: of the click in the row's list of items, from 1
-- trigger: the product shown when another was clicked
-- reason: why the click is not used; empty where it is
SELECT
    $file::INTEGER AS file,
    "row",
    place,
    session,
    "time",
    item,
    "trigger",
    CASE
        WHEN session IS NULL AND NOT $triggered THEN 'no session'
        WHEN item IS NULL THEN 'no item'
        WHEN "trigger" IS NULL AND $triggered THEN 'no trigger'
        WHEN "time" IS NULL AND $timed THEN 'unreadable time'
        WHEN "time" > $latest THEN 'time in the future'
        WHEN "time" < TIMESTAMP '1990-01-01' THEN 'time before 1990'
    END AS reason
FROM raw_rows
