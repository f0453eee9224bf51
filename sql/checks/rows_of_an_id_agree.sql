-- rows_of_an_id_agree: one row per product id whose raw rows differ, and in what.
-- Source: conflicting_ids.
SELECT product_id, rows || ' rows', array_to_string(differs, ' and ') || ' differ', first_place, last_place
FROM conflicting_ids
ORDER BY rows DESC, product_id
