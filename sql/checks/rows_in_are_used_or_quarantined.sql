-- rows_in_are_used_or_quarantined: one row with the counts where raw rows are not all in images or in quarantine.
SELECT
    (SELECT count(*) FROM records) AS records,
    (SELECT count(*) FROM images) AS images,
    (SELECT count(*) FROM quarantine) AS quarantined
WHERE records <> images + quarantined
