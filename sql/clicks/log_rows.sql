-- log_rows: one row per click of one file of a log, usable or with the reason why not.
-- Source: raw_rows, the file's columns by what they mean: texts, and a TIMESTAMP that is empty where it cannot be read,
--   beside its text; and why a row could not be read at all.
-- Parameters: $file, $latest (what is later is clock skew), $timed, $triggered (which columns the log has).
-- file: number of the file in the log
-- row: row of the click in its file, from 0
-- place: of the click in the row's list of items, from 1
-- trigger: the product shown when another was clicked
-- unread: a time's text, where it is none that can be used
-- reason: why the click is not used; empty where it is. What differs from row to row stands behind a colon
SELECT
    $file::INTEGER AS file,
    "row",
    place,
    session,
    "time",
    item,
    "trigger",
    CASE WHEN "time" IS NULL OR "time" > $latest OR "time" < TIMESTAMP '1990-01-01'
        THEN nullif(trim(time_text, e' \t\r\n'), '') END AS unread,
    CASE
        WHEN refused IS NOT NULL THEN 'unreadable row: ' || refused
        WHEN session IS NULL AND NOT $triggered THEN 'no session'
        WHEN item IS NULL THEN 'no item'
        WHEN "trigger" IS NULL AND $triggered THEN 'no trigger'
        WHEN "time" IS NULL AND $timed THEN concat_ws(': ', 'unreadable time', '''' || left(unread, 60) || '''')
        WHEN "time" > $latest THEN concat_ws(': ', 'time in the future', '''' || left(unread, 60) || '''')
        WHEN "time" < TIMESTAMP '1990-01-01' THEN concat_ws(': ', 'time before 1990', '''' || left(unread, 60) || '''')
    END AS reason
FROM raw_rows
