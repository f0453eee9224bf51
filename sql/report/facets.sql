-- facets: one row per facet and value, the largest of each facet: recall@1 of row 5, and what it gains over row 3.
-- Source: recall_breakdowns.
-- Parameters: $dataset, $shown.
SELECT facet, value, products, queries, r1, gain_r1, gain_low, gain_high, p_value, baseline_r1
FROM (
    SELECT *, max(r1) FILTER (WHERE variant = 'clip_entities_text') OVER (PARTITION BY facet, value) AS baseline_r1
    FROM recall_breakdowns
    WHERE dataset = $dataset AND direction = 't2i'
)
WHERE variant = 'eiclip' AND gain_r1 IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY facet ORDER BY products DESC, value) <= $shown
ORDER BY facet, value
