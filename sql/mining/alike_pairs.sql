-- alike_pairs: one row per pair of supported_pairs that meets the constraints of support, lift and category: how
--   alike the two products are.
-- Other columns are those of `supported_pairs`, without is_supported.
-- Source: supported_pairs, product_words, product_views, catalogue.
-- Parameters: $minimum_lift, $minimum_text_similarity, $variant (whose views).
-- text_similarity: Jaccard index of the two sets of words; 0 where both are empty
-- image_similarity: cosine of the mean photos; empty where the texts are not alike enough to ask, or a photo has no
--   embedding
WITH candidates AS (
    SELECT * EXCLUDE (is_supported) FROM supported_pairs WHERE is_supported AND lift >= $minimum_lift AND same_category
),
compared AS (
    SELECT
        candidates.*,
        len(list_intersect(one.words, other.words)) AS common,
        len(one.words) + len(other.words) AS words
    FROM candidates
    JOIN product_words AS one ON one.number = candidates.first
    JOIN product_words AS other ON other.number = candidates.second
),
texts AS (
    SELECT * EXCLUDE (common, words), coalesce(common / nullif(words - common, 0), 0)::DOUBLE AS text_similarity
    FROM compared
),
views AS (
    SELECT catalogue.number, product_views.image
    FROM product_views
    JOIN catalogue USING (product_id)
    WHERE product_views.variant = $variant AND catalogue.is_training
)
SELECT texts.*, list_inner_product(one.image, other.image)::DOUBLE AS image_similarity
FROM texts
LEFT JOIN views AS one ON one.number = texts.first AND texts.text_similarity >= $minimum_text_similarity
LEFT JOIN views AS other ON other.number = texts.second AND texts.text_similarity >= $minimum_text_similarity
