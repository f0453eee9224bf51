-- shard_parts: one row per part of a dataset that has photos for the shards.
-- Columns: part.
-- Source: images.
SELECT DISTINCT part
FROM images
WHERE split <> 'excluded'
ORDER BY part
