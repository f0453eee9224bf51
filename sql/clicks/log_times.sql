-- log_times: one row per click whose time is a text that DuckDB does not read by itself, with what it means.
-- Source: log_rows, the rows of all files.
-- Parameters: $latest (a list: for each file, what is later is clock skew).
-- English names of months, days before months where dots part them, twelve hours with AM or PM, zones in brackets after
-- their offset. Whether 01/05/2024 is in May, the other dates of the log say, if they agree (25/05/2024).
-- id: rowid in log_rows
-- order: 'day first' | 'month first', where the other dates say so
-- reason: why the click is not used; empty where it is
WITH texts AS (
    SELECT
        rowid AS id,
        file,
        unread,
        regexp_replace(trim(regexp_replace(unread, '\s+', ' ', 'g')), '(:\d\d),(\d)', '\1.\2') AS spaced,
        regexp_replace(replace(spaced, ',', ''), '^(mon|tue|wed|thu|fri|sat|sun)[a-z]*[.]? ', '', 'i') AS dayless,
        regexp_replace(dayless, '([+-]\d\d:?\d\d|Z) ?[(\[][^()\[\]]*[)\]]$', '\1') AS zoned,
        regexp_replace(zoned, '(:\d\d(?:[.]\d+)?) ?(?:GMT|UTC)?([+-]\d\d):?(\d\d)$', '\1\2:\3') AS ended,
        -- Wed May 1 10:00:00 2024, with the year at the end.
        regexp_replace(ended, '^([a-z]{3} \d{1,2}) (\d[\d:.]*) (\d{4})$', '\1 \3 \2', 'i') AS text
    FROM log_rows
    WHERE unread IS NOT NULL AND starts_with(reason, 'unreadable time')
),
parts AS (
    SELECT
        id,
        file,
        unread,
        regexp_extract(text, '^(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4})(.*)$', ['a', 'mark', 'b', 'year', 'clock']) AS plain,
        regexp_extract(text, '^(\d{4})[.-](\d\d?)[.-](\d\d?)([ T:].*|)$', ['year', 'month', 'day', 'clock']) AS parted,
        regexp_extract(text, '^(\d{4})(\d\d)(\d\d)([ T:].*|)$', ['year', 'month', 'day', 'clock']) AS joined,
        regexp_extract(text, '^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(.*)$', ['year', 'month', 'day', 'h', 'm', 's']) AS packed,
        regexp_extract(
            text, '^(\d{1,2})(?:st|nd|rd|th)?[ /.-]?([a-z]{3})[a-z]*[ /.-]{0,2}(\d{4})\b(.*)$',
            ['day', 'month', 'year', 'clock'], 'i'
        ) AS named,
        regexp_extract(
            text, '^([a-z]{3})[a-z]*[ .-]{1,2}(\d{1,2})(?:st|nd|rd|th)?[ -](\d{4})\b(.*)$',
            ['month', 'day', 'year', 'clock'], 'i'
        ) AS month_first
    FROM texts
),
marks AS (
    SELECT
        plain.mark AS mark,
        count_if(try_cast(plain.a AS INTEGER) > 12 AND try_cast(plain.b AS INTEGER) <= 12) > 0 AS has_day_first,
        count_if(try_cast(plain.b AS INTEGER) > 12 AND try_cast(plain.a AS INTEGER) <= 12) > 0 AS has_month_first
    FROM parts
    WHERE plain.mark <> ''
    GROUP BY 1
),
ordered AS (
    SELECT
        parts.*,
        CASE WHEN parted.year <> '' THEN parted ELSE joined END AS iso,
        plain.mark <> '' AS is_plain,
        try_cast(plain.a AS INTEGER) AS a,
        try_cast(plain.b AS INTEGER) AS b,
        CASE
            WHEN NOT is_plain OR plain.mark = '.' OR a > 12 OR b > 12 OR a = b OR has_day_first = has_month_first THEN NULL
            WHEN has_day_first THEN 'day first'
            ELSE 'month first'
        END AS "order",
        CASE
            WHEN plain.mark = '.' OR a > 12 OR a = b THEN true
            WHEN b > 12 THEN false
            WHEN "order" IS NOT NULL THEN "order" = 'day first'
        END AS is_day_first
    FROM parts
    LEFT JOIN marks ON marks.mark = plain.mark
),
dates AS (
    SELECT
        *,
        CASE
            WHEN is_plain THEN [plain.year, if(is_day_first, plain.b, plain.a), if(is_day_first, plain.a, plain.b)]
            WHEN iso.year <> '' THEN [iso.year, iso.month, iso.day]
            WHEN packed.year <> '' THEN [packed.year, packed.month, packed.day]
            ELSE [named.year || month_first.year, months.number, named.day || month_first.day]
        END AS date,
        CASE WHEN packed.year <> '' THEN concat_ws(':', packed.h, packed.m, packed.s)
            ELSE plain.clock || iso.clock || named.clock || month_first.clock END AS given,
        regexp_replace(regexp_replace(given, '^[ T:]+', ''), '^(\d{1,2}:\d\d)([ Z+-]|$)', '\1:00\2') AS clock,
        regexp_extract(clock, '^(\d{1,2})((?::\d\d){1,2}(?:[.]\d+)?) ?([ap])[.]?m[.]?$', ['hour', 'rest', 'half'], 'i') AS twelve
    FROM ordered
    LEFT JOIN (
        SELECT unnest(['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']) AS name,
            unnest(range(1, 13))::VARCHAR AS number
    ) AS months ON months.name = lower(named.month || month_first.month)
),
times AS (
    SELECT
        *,
        CASE
            WHEN is_plain AND is_day_first IS NULL THEN NULL
            WHEN regexp_full_match(unread, '\s*\d{5},\d+\s*')  -- a spreadsheet's day, as Europeans write it
                THEN try(TIMESTAMP '1899-12-30' + to_milliseconds(round(try_cast(replace(unread, ',', '.') AS DOUBLE) * 86400e3)::BIGINT))
            WHEN twelve.half <> '' AND try_cast(twelve.hour AS INTEGER) BETWEEN 1 AND 12
                THEN try_cast(array_to_string(date, '-') || ' ' || try_cast(twelve.hour AS INTEGER) % 12
                    + if(lower(twelve.half) = 'p', 12, 0) || twelve.rest AS TIMESTAMP)
            ELSE try_cast(array_to_string(date, '-') || if(clock = '', '', ' ' || clock) AS TIMESTAMPTZ)::TIMESTAMP
        END AS "time"
    FROM dates
)
SELECT
    id,
    "time",
    "order",
    unread,
    CASE
        WHEN "time" IS NULL THEN 'unreadable time: ''' || left(unread, 60) || ''''
            || if(is_plain AND is_day_first IS NULL, ', day or month first? set same_style.columns.time_format', '')
        WHEN "time" > $latest[file + 1] THEN 'time in the future: ''' || left(unread, 60) || ''''
        WHEN "time" < TIMESTAMP '1990-01-01' THEN 'time before 1990: ''' || left(unread, 60) || ''''
    END AS reason
FROM times
