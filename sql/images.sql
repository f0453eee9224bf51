-- images: one row per accepted photo.
-- Columns: dataset, image_id, product_id, split, pose, photo (where the reader finds it), photo_width, photo_height,
--   photo_sha256, source, locator.
-- Source: catalog, products.
SELECT
    catalog.dataset,
    catalog.image_id,
    catalog.product_id,
    products.split,
    catalog.pose,
    catalog.photo,
    catalog.photo_width,
    catalog.photo_height,
    catalog.photo_sha256,
    catalog.source,
    catalog.locator
FROM catalog
JOIN products USING (dataset, product_id)
-- The raw order: photos are read back in it, and a file read in order is read fast.
ORDER BY catalog.source, split_part(catalog.locator, ' ', 2)::BIGINT, catalog.image_id
