-- mended_records: one row per record of a file, those that SQL could not read as the line reader read them.
-- Columns are those of `records`.
-- Source: records (with file_row_number), mended.
-- place: number of the line in the file, from 1; fixes the order, which the rows do not keep
SELECT * EXCLUDE (file_row_number) REPLACE (file_row_number + 1 AS place)
FROM records
WHERE reason IS DISTINCT FROM 'retry'
UNION ALL BY NAME
SELECT * FROM mended
