-- quarantine: one row per raw row that is not used: where it is, and why.
-- Columns: dataset, source, locator ('row 17' from 0, 'line 203' from 1), product_id (where known), reason ('kind: what
--   differs').
-- Source: records, photos, images. records = images + quarantine.
-- Parameters: $unit (row | line).
SELECT
    records.dataset,
    records.source,
    $unit || ' ' || records.place AS locator,
    records.product_id,
    coalesce(records.reason, photos.reason, 'duplicate id: ' || records.product_id) AS reason
FROM records
LEFT JOIN photos USING (source, place)
ANTI JOIN images USING (source, place)
ORDER BY records.source, records.place
