-- listing_parts: one row per part of a dataset: so many raw rows of one raw file, in order.
-- Source: listings.
-- Parameters: $part_rows.
-- part: name of the part, fit for files
-- listings: number of its listings
SELECT
    regexp_replace(source, '[^A-Za-z0-9_]+', '-', 'g') || '-' || printf('%05d', place // $part_rows) AS part,
    min(source) AS source,
    count(*) AS listings
FROM listings
GROUP BY part
ORDER BY part
