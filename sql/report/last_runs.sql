-- last_runs: one row per kept run of a dataset, the newest two: what it was, and SumR of rows 3 and 5.
-- Source: runs, run_metrics.
-- Parameters: $dataset.
SELECT
    strftime(finished_at, '%Y-%m-%d %H:%M UTC') AS finished, seed, settings, versions, data_fingerprint, code_version,
    sum(r1 + r5 + r10) FILTER (WHERE variant = 'clip_entities_text') AS row_3,
    sum(r1 + r5 + r10) FILTER (WHERE variant = 'eiclip') AS row_5
FROM runs
JOIN run_metrics USING (run_id, dataset)
WHERE runs.dataset = $dataset AND run_metrics.protocol = 'full'
GROUP BY ALL
ORDER BY max(runs.finished_at) DESC
LIMIT 2
