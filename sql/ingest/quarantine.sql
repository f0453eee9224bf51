-- quarantine: one row per raw row that is not used: where it is, and why.
-- Source: records, photos, images. records = images + quarantine.
-- Parameters: $unit (row | line).
-- locator: where in the file: 'row 17' from 0, 'line 203' from 1
-- product_id: id of the product, where it is known
-- reason: why the row is not used, as 'kind: what differs'
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
