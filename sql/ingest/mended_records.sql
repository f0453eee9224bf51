-- mended_records: the records of a file, those that SQL could not read replaced by what the line reader says of them.
-- Columns: those of records; place is the line's number in the file, from 1, and fixes the order, which the rows do not keep.
-- Source: records (with file_row_number), mended.
SELECT * EXCLUDE (file_row_number) REPLACE (file_row_number + 1 AS place)
FROM records
WHERE reason IS DISTINCT FROM 'retry'
UNION ALL BY NAME
SELECT * FROM mended
