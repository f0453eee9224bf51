-- images_to_shard: one row: the number of photos that the shards have to hold, those of all products not excluded.
SELECT count(*)
FROM images
WHERE split <> 'excluded'
