-- no_offers: one row per product of none: the columns of `offers`, in a home of before that table.
SELECT
    NULL::VARCHAR AS product_id,
    NULL::VARCHAR AS currency,
    NULL::BOOLEAN AS available,
    NULL::VARCHAR AS link,
    MAP {}::MAP(VARCHAR, VARCHAR[]) AS attributes
WHERE false
