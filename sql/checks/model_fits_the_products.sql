-- model_fits_the_products: one row per measure of drift that warns, as a sentence.
-- Source: drift.
-- sentence: what is worse than at the training
SELECT format(
    '{}: {} of the {} newest products is {:.1f} %, at the training it was {:.1f} %; train again (make full_eval)',
    variant,
    CASE measure
        WHEN 'unknown_entities' THEN 'the share with an unknown ' || entity_group
        WHEN 'r10' THEN 'recall@10 from text to photo'
        ELSE 'MRR from text to photo'
    END,
    products,
    newest,
    trained
) AS sentence
FROM drift
WHERE warns
ORDER BY measure, entity_group
