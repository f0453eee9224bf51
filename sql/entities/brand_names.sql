-- brand_names: one row per way a brand is written in the raw files and the name it was brought to.
-- Source: listings; only readers that normalise brands fill brand_raw.
-- brand_raw: brand as the raw file writes it
-- brand: the name that it was brought to; empty: a placeholder, no brand
-- rows: raw rows that write it so
SELECT dataset, brand_raw, coalesce(any_value(entities['brand'][1]), '') AS brand, count(*) AS rows
FROM listings
WHERE brand_raw IS NOT NULL
GROUP BY dataset, brand_raw
ORDER BY rows DESC, brand_raw
