-- part_listings: one row per listing of one part, in the raw order.
-- Source: listings.
-- Parameters: $part, $part_rows.
SELECT source, place, photo, photo_urls
FROM listings
WHERE regexp_replace(source, '[^A-Za-z0-9_]+', '-', 'g') || '-' || printf('%05d', place // $part_rows) = $part
ORDER BY source, place
