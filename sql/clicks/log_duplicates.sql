-- log_duplicates: one row per usable click that an earlier one of the log repeats: the same session, time, item and
--   trigger.
-- Source: log_rows, the rows of all files.
-- A click without a session is nobody's, so that a second one is not known to be the same. Digests tell first which few
-- clicks may have a second: to put all of them in order would take many times as long.
-- id: rowid in log_rows
WITH clicks AS NOT MATERIALIZED (
    SELECT rowid AS id, session, "time", item, "trigger", hash(session, "time", item, "trigger") AS digest
    FROM log_rows
    WHERE reason IS NULL AND session IS NOT NULL
),
repeated AS (
    SELECT digest
    FROM clicks
    GROUP BY digest
    HAVING count(*) > 1
)
SELECT id
FROM clicks
SEMI JOIN repeated USING (digest)
QUALIFY row_number() OVER (PARTITION BY session, "time", item, "trigger" ORDER BY id) > 1
