-- placeholders: one row per field and text that was left out as a placeholder, the commonest first.
-- Source: profile_placeholders.
-- Parameters: $dataset, $shown.
SELECT field, text, rows
FROM profile_placeholders
WHERE dataset = $dataset
ORDER BY rows DESC, field, text
LIMIT $shown
