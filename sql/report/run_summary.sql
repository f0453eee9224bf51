-- run_summary: one row per kept run of a dataset, the newest first, with SumR of row 3 and row 5 over all candidates.
-- Source: runs, run_metrics.
-- Parameters: $dataset, $shown.
SELECT
    runs.run_id,
    strftime(runs.finished_at, '%Y-%m-%d %H:%M') AS finished_at,
    runs.seed,
    runs.config_hash,
    runs.data_fingerprint,
    runs.device,
    round(sum(r1 + r5 + r10) FILTER (WHERE variant = 'clip_entities_text'), 1) AS row_3_sum_r,
    round(sum(r1 + r5 + r10) FILTER (WHERE variant = 'eiclip'), 1) AS row_5_sum_r
FROM runs
JOIN run_metrics USING (run_id, dataset)
WHERE runs.dataset = $dataset AND run_metrics.protocol = 'full'
GROUP BY ALL
ORDER BY max(runs.finished_at) DESC
LIMIT $shown
