-- records: one row per raw row of a dataset: usable (reason is empty) or with the reason why not.
-- Columns: those of eiclip/readers/records.py; place (rows from 0, lines from 1) is filled in where the table leaves it to its order.
-- Source: record_rows, the Parquet files with file_row_number.
SELECT * EXCLUDE (file_row_number) REPLACE (coalesce(place, file_row_number + 1) AS place)
FROM record_rows
