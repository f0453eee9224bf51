-- visits: one row per row of click_log, sessions cut where two clicks that follow each other lie further apart than the
--   gap.
-- Other columns are those of `click_log`.
-- Source: click_log.
-- Parameters: $gap (seconds).
-- session: the session and the number of the visit in it
WITH waited AS (
    SELECT *, epoch("time") - epoch(lag("time") OVER (PARTITION BY session ORDER BY "time", source, "row")) AS seconds
    FROM click_log
    WHERE session IS NOT NULL
),
numbered AS (
    SELECT
        *,
        count(*) FILTER (seconds > $gap) OVER (
            PARTITION BY session ORDER BY "time", source, "row" ROWS UNBOUNDED PRECEDING
        ) AS visit
    FROM waited
)
SELECT * EXCLUDE (seconds, visit) REPLACE (session || ' ' || visit AS session)
FROM numbered
UNION ALL BY NAME
FROM click_log
WHERE session IS NULL
