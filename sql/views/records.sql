-- records: one row per raw row of a dataset: usable (reason is empty) or with the reason why not.
-- place is filled in where the table leaves it to the order of its rows.
-- Source: record_rows, the Parquet files with file_row_number.
SELECT * EXCLUDE (file_row_number) REPLACE (coalesce(place, file_row_number + 1) AS place)
FROM record_rows
