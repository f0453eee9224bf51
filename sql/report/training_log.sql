-- training_log: one row per variant and logged step: its loss and gates.
-- Source: training_log.
-- Parameters: $dataset.
SELECT variant, step, loss_joint, gates
FROM training_log
WHERE dataset = $dataset
ORDER BY variant, step
