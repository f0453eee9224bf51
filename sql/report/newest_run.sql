-- newest_run: one row: the newest kept run of a dataset.
-- Source: runs.
-- Parameters: $dataset.
SELECT
    run_id, strftime(finished_at, '%Y-%m-%d %H:%M UTC') AS finished_at, seed, config_hash, data_fingerprint,
    code_version, device, seconds, versions
FROM runs
WHERE dataset = $dataset
ORDER BY runs.finished_at DESC, run_id
LIMIT 1
