-- listings: one row per usable raw row: the text and tags of one photo of a product.
-- Source: records.
SELECT * EXCLUDE (reason)
FROM records
WHERE reason IS NULL
