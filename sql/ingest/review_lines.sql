-- review_lines: one row per line of an Amazon reviews file that is JSON, in the file's order.
-- Source: lines, the file's lines as JSON, NULL where one is broken.
-- Parameters: $dataset, $source, $max_text (characters of a text kept).
-- reason: 'retry' where the line reader has to look: broken, unusable, or not plainly what it seems
WITH found AS (
    SELECT
        json,
        json_keys(json) AS names,
        list_transform(
            json_extract(json, [
                '$.parent_asin', '$.asin', '$.overall', '$.rating', '$.helpful', '$.vote', '$.helpful_vote',
                '$.reviewText', '$.text', '$.summary', '$.title', '$.unixReviewTime', '$.timestamp', '$.verified',
                '$.verified_purchase'
            ]),
            lambda value: nullif(value::VARCHAR, 'null')
        ) AS fields
    FROM lines
),
named AS (
    SELECT
        json,
        names,
        coalesce(nullif(fields[1], '""'), fields[2]) AS id,
        coalesce(fields[3], fields[4]) AS rating,
        coalesce(fields[5], fields[6], fields[7], '0') AS helpful,
        coalesce(CASE WHEN fields[8] LIKE '"_%"' THEN fields[8] END, fields[9]) AS review,
        coalesce(CASE WHEN fields[10] LIKE '"_%"' THEN fields[10] END, fields[11]) AS summary,
        CASE WHEN fields[12] IS NULL THEN fields[13] ELSE fields[12] END AS time,
        CASE WHEN fields[12] IS NULL THEN 1000 ELSE 1000000 END AS ticks,
        coalesce(fields[14], fields[15]) AS verified
    FROM found
),
judged AS (
    SELECT
        *,
        coalesce(
            -- What Python's JSON refuses, or reads otherwise: a name twice, NaN, a comma too many, NUL, nesting, digits.
            list_unique(names) = len(names)
            -- Patterns that open with one plain character are searched for many times faster.
            AND NOT regexp_matches(json::VARCHAR, ',\s*(?:[}\]]|-?(?i:nan|inf(?:inity)?)\s*[,}\]])')
            AND NOT regexp_matches(json::VARCHAR, ':\s*-?(?i:nan|inf)')
            AND NOT regexp_matches(json::VARCHAR, '\[\s*-?(?i:nan|inf)')
            AND NOT contains(json::VARCHAR, '\u0000')
            AND CASE WHEN strlen(json::VARCHAR) > 900
                THEN strlen(json::VARCHAR) - strlen(replace(replace(json::VARCHAR, '[', ''), '{', '')) < 300 ELSE true END
            AND CASE WHEN strlen(json::VARCHAR) > 4000
                THEN NOT regexp_matches(json::VARCHAR, '[0-9]{900}') ELSE true END
            AND regexp_full_match(id, '"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"')
            AND regexp_full_match(rating, '"?(?:[1-4](?:\.[0-9]{1,9})?|5(?:\.0{1,9})?)"?')
            AND regexp_full_match(helpful, '[0-9]{1,9}|\[[0-9]{1,9},\s*[0-9]{1,9}\]|"[0-9]{1,3}(?:,[0-9]{3}){0,2}"')
            -- A pattern that is not constant would be compiled for every row.
            AND (time IS NULL OR regexp_full_match(time, '[0-9]{1,12}')
                OR (ticks = 1000 AND regexp_full_match(time, '[0-9]{13,15}')))
            AND (verified IS NULL OR verified IN ('true', 'false')),
            false
        ) AS is_plain,
        try(time::BIGINT * ticks) AS micros
    FROM named
)
SELECT
    $dataset AS dataset,
    $source AS source,
    CASE WHEN is_plain THEN trim(id, '"') END AS product_id,
    CASE WHEN is_plain THEN trim(rating, '"')::DOUBLE END AS rating,
    CASE WHEN is_plain THEN CASE left(helpful, 1)
        WHEN '[' THEN regexp_extract(helpful, '[0-9]+')
        ELSE replace(trim(helpful, '"'), ',', '')
    END::BIGINT END AS helpful,
    CASE WHEN is_plain AND review LIKE '"_%"' THEN left(review::JSON ->> '$', $max_text) END AS text,
    CASE WHEN is_plain AND summary LIKE '"_%"' THEN left(summary::JSON ->> '$', $max_text) END AS summary,
    -- The years 1970 to 2099; what lies outside is no time of a review.
    CASE WHEN is_plain AND micros < 4102444800000000 THEN make_timestamp(micros) END AS time,
    CASE WHEN is_plain THEN verified = 'true' END AS verified,
    CASE WHEN NOT is_plain THEN 'retry' END AS reason
FROM judged
