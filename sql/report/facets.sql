-- facets: one row per facet and value, the largest of each facet: recall@1 of row 5, and what it gains over row 3.
-- How confounded makers are, then the states, theirs first, then meanings and the other groups, makers last.
-- Source: recall_breakdowns.
-- Parameters: $dataset, $shown.
SELECT facet, value, products, queries, r1, gain_r1, gain_low, gain_high, p_value, baseline_r1
FROM (
    SELECT
        *,
        max(r1) FILTER (WHERE variant = 'clip_entities_text') OVER (PARTITION BY facet, value) AS baseline_r1,
        max(split_part(facet, ' confounded', 1)) FILTER (WHERE facet LIKE '% confounded') OVER () AS makers,
        facet LIKE '% confounded' OR facet LIKE '% state' OR facet = 'meanings' AS is_made_up
    FROM recall_breakdowns
    WHERE dataset = $dataset AND direction = 't2i'
)
WHERE variant = 'eiclip' AND gain_r1 IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY facet ORDER BY products DESC, value) <= $shown
ORDER BY
    CASE
        WHEN facet LIKE '% confounded' THEN 0
        WHEN facet = makers || ' state' THEN 1
        WHEN facet LIKE '% state' THEN 2
        WHEN facet = 'meanings' THEN 3
        WHEN facet = makers THEN 5
        ELSE 4
    END,
    facet,
    if(is_made_up, 0, -products),
    value
