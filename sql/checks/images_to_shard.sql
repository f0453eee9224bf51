-- Number of photos that the shards have to hold: those of all products that are not excluded.
SELECT count(*)
FROM images
WHERE split <> 'excluded'
