-- pair_funnel: one row per step of the mining of pairs: what it left and what it lost.
-- Source: click_log, click_rejections, related_items, and steps of the mining (sql/mining): clicks, sessions,
--   pair_supports, supported_pairs, alike_pairs, ranked_pairs.
-- Parameters: $dataset, $most_items, $clicked_support, $minimum_support, $minimum_lift, $minimum_text_similarity,
--   $minimum_image_similarity, $most_positives, $category.
-- step: number of the step, from 1
-- name: what the step keeps
-- unit: 'rows' of the log | 'lists' of related products, where there are any | 'sessions' | 'pairs', ordered ones
-- kept: what it kept
-- lost: what it lost of what the step before it kept; 0 for the first step of a unit
-- why: why it loses
WITH click_counts AS (
    SELECT
        origin,
        count(*) AS clicks,
        count(*) FILTER (NOT is_known) AS unknown,
        count(*) FILTER (is_known AND NOT is_training) AS held_out,
        count(*) FILTER (is_training AND number = trigger_number) AS itself
    FROM clicks
    GROUP BY origin
),
log_counts AS (FROM click_counts WHERE origin = 'log'),
related_counts AS (FROM click_counts WHERE origin = 'related'),
session_counts AS (
    SELECT
        count(*) AS sessions,
        count(*) FILTER (len(items) < 2) AS single,
        count(*) FILTER (len(items) > $most_items) AS crawlers
    FROM sessions
    WHERE origin = 'log'
),
pair_counts AS (
    SELECT
        2 * (SELECT count(*) FROM pair_supports) AS pairs,
        2 * (SELECT count(*) FROM supported_pairs) AS clicked,
        2 * (SELECT count(*) FROM supported_pairs WHERE is_supported) AS supported,
        2 * (SELECT count(*) FROM supported_pairs WHERE is_supported AND lift >= $minimum_lift) AS lifted,
        2 * (SELECT count(*) FROM alike_pairs) AS alike,
        2 * (SELECT count(*) FROM alike_pairs WHERE text_similarity >= $minimum_text_similarity) AS worded,
        (SELECT count(*) FROM ranked_pairs) AS relevant,
        (SELECT count(*) FROM ranked_pairs WHERE place <= $most_positives) AS kept
),
-- Where a unit begins, `begins` is what there is.
steps AS (
    SELECT 1 AS block, 0 AS place, 'rows read' AS name, 'rows' AS unit, (SELECT count(*) FROM click_log)
        + (SELECT count(*) FROM click_rejections) AS begins, 0 AS lost, 'rows of the log, one a click' AS why
    UNION ALL
    SELECT 1, row_number() OVER (ORDER BY kind), kind, 'rows', NULL, count(*), 'rejected: click_rejections'
    FROM (SELECT split_part(reason, ':', 1) AS kind FROM click_rejections)
    GROUP BY kind
    UNION ALL
    SELECT 1, 1001, 'in the catalogue', 'rows', NULL, unknown, 'a product that the catalogue lacks, or has no photo of'
    FROM log_counts
    UNION ALL
    SELECT 1, 1002, 'of the training split', 'rows', NULL, held_out, 'a product of another split, that training must not see'
    FROM log_counts
    UNION ALL
    SELECT 2, 0, 'lists read', 'lists', count(*), 0, 'related products, one a list that names one' FROM related_items
    HAVING count(*) > 0
    UNION ALL
    SELECT 2, 1, 'said once', 'lists', NULL, (SELECT count(*) FROM related_items) - clicks, 'named twice in one list'
    FROM related_counts
    UNION ALL
    SELECT 2, 2, 'in the catalogue', 'lists', NULL, unknown, 'a product that the catalogue lacks, or has no photo of'
    FROM related_counts
    UNION ALL
    SELECT 2, 3, 'of the training split', 'lists', NULL, held_out, 'a product of another split, that training must not see'
    FROM related_counts
    UNION ALL
    SELECT 2, 4, 'of two products', 'lists', NULL, itself, 'a product related to itself' FROM related_counts
    UNION ALL
    SELECT 3, 0, 'sessions', 'sessions', sessions, 0, 'sessions with a training product' FROM session_counts
    UNION ALL
    SELECT 3, 1, 'of two products', 'sessions', NULL, single, 'one product alone: no pair' FROM session_counts
    UNION ALL
    SELECT 3, 2, 'most_session_items', 'sessions', NULL, crawlers, format('over {} products: a crawler''s', $most_items)
    FROM session_counts
    UNION ALL
    SELECT 4, 0, 'pairs', 'pairs', pairs, 0, 'ordered pairs clicked together' FROM pair_counts
    UNION ALL
    SELECT 4, 1, 'clicked_support', 'pairs', NULL, pairs - clicked, format('in under {} sessions', $clicked_support)
    FROM pair_counts
    UNION ALL
    SELECT 4, 2, 'minimum_support', 'pairs', NULL, clicked - supported, format('in under {} sessions', $minimum_support)
    FROM pair_counts
    UNION ALL
    SELECT 4, 3, 'minimum_lift', 'pairs', NULL, supported - lifted, format('lift under {}', $minimum_lift) FROM pair_counts
    UNION ALL
    SELECT 4, 4, 'category', 'pairs', NULL, lifted - alike, format('not of one {}, or it is not known', $category)
    FROM pair_counts
    UNION ALL
    SELECT 4, 5, 'minimum_text_similarity', 'pairs', NULL, alike - worded,
        format('descriptions share under {} of their words', $minimum_text_similarity)
    FROM pair_counts
    UNION ALL
    SELECT 4, 6, 'minimum_image_similarity', 'pairs', NULL, worded - relevant,
        format('cosine of the photos under {}, or a photo without embedding', $minimum_image_similarity)
    FROM pair_counts
    UNION ALL
    SELECT 4, 7, 'most_positives', 'pairs', NULL, relevant - kept, format('past the {} of the highest lift', $most_positives)
    FROM pair_counts
)
SELECT
    $dataset AS dataset,
    row_number() OVER (ORDER BY block, place)::INTEGER AS step,
    name,
    unit,
    (first_value(begins) OVER unit_steps - sum(lost) OVER unit_steps)::BIGINT AS kept,
    lost::BIGINT AS lost,
    why
FROM steps
WINDOW unit_steps AS (PARTITION BY block ORDER BY place ROWS UNBOUNDED PRECEDING)
ORDER BY step
