-- shard_parts: one row per part of a dataset that has photos for the shards.
-- Source: images.
-- part: name of the part
SELECT DISTINCT part
FROM images
WHERE split <> 'excluded'
ORDER BY part
