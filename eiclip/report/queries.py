"""What the report asks of the catalogue: short SELECTs with named parameters.

Any view may be missing, since a report of a partial run is still a report: `select` then gives no rows.
"""

from typing import Any

import duckdb

LEADERBOARD = """
SELECT paper_row, variant, i2t_r1, i2t_r5, i2t_r10, t2i_r1, t2i_r5, t2i_r10, sum_r
FROM leaderboard
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY paper_row NULLS LAST, variant
"""

METRICS = """
SELECT variant, direction, r1, r5, r10
FROM retrieval_metrics
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY variant, direction
"""

COMPARISONS = """
SELECT
    direction, measure, value, baseline_value, difference, low, high, relative, relative_low, relative_high, p_value,
    queries, products, resamples
FROM row_comparisons
WHERE dataset = $dataset AND protocol = 'full' AND variant = $variant AND baseline = $baseline
    AND ((measure = 'r1' AND direction IN ('i2t', 't2i')) OR measure = 'sum_r')
ORDER BY measure, direction
"""

INTERVALS = """
SELECT variant, direction, measure, value, low, high
FROM metric_intervals
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY variant, direction, measure
"""

SUM_INTERVALS = """
SELECT variant, protocol, low, high
FROM metric_intervals
WHERE dataset = $dataset AND measure = 'sum_r'
ORDER BY variant, protocol
"""

SUMS = """
SELECT paper_row, variant, protocol, sum_r
FROM leaderboard
WHERE dataset = $dataset
ORDER BY paper_row NULLS LAST, variant, protocol
"""

QUALITY = """
SELECT paper_row, variant, i2t_mrr, i2t_ndcg10, t2i_mrr, t2i_ndcg10
FROM leaderboard
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY paper_row NULLS LAST, variant
"""

TEXT_EQUAL = """
SELECT
    paper_row, variant, i2t_r1, t2i_r1, sum_r,
    max(text_equal_r1) FILTER (WHERE direction = 'i2t') AS i2t_equal,
    max(text_equal_r1) FILTER (WHERE direction = 't2i') AS t2i_equal,
    sum(text_equal_r1 + text_equal_r5 + text_equal_r10) AS sum_equal
FROM leaderboard
JOIN retrieval_metrics USING (dataset, protocol, variant)
WHERE dataset = $dataset AND protocol = $protocol
GROUP BY paper_row, variant, i2t_r1, t2i_r1, sum_r
ORDER BY paper_row NULLS LAST, variant
"""

PROTOCOLS = """
SELECT protocol, rule, level, candidates, queries, draws, seed, with_shortfall, negatives_short
FROM protocols
WHERE dataset = $dataset
ORDER BY protocol
"""

NEWEST_RUN = """
SELECT
    run_id, strftime(finished_at, '%Y-%m-%d %H:%M UTC') AS finished_at, seed, config_hash, data_fingerprint,
    code_version, device, seconds, versions
FROM runs
WHERE dataset = $dataset
ORDER BY runs.finished_at DESC, run_id
LIMIT 1
"""

PAIRED_FIRST_PLACES = """
SELECT
    count(*) AS queries,
    count(*) FILTER (WHERE one.rank = 1 AND other.rank > 1) AS only_one,
    count(*) FILTER (WHERE other.rank = 1 AND one.rank > 1) AS only_other
FROM retrieval_ranks AS one
JOIN retrieval_ranks AS other USING (dataset, protocol, direction, query_id)
WHERE dataset = $dataset AND protocol = 'full' AND direction = 't2i'
    AND one.variant = $one AND other.variant = $other
HAVING count(*) > 0
"""

GROUPS = """
SELECT DISTINCT entity_group
FROM entity_vocabulary
WHERE dataset = $dataset
ORDER BY entity_group
"""

GATES = """
SELECT entity_group, entity, weight, coalesce(entity_vocabulary.product_count, 0) AS product_count
FROM gate_weights
LEFT JOIN entity_vocabulary USING (dataset, entity_group, entity)
WHERE dataset = $dataset AND variant = $variant
ORDER BY entity_group, entity
"""

GATE_EXTREMES = """
WITH known AS (
    SELECT
        entity_group,
        entity,
        weight,
        row_number() OVER (PARTITION BY entity_group ORDER BY weight DESC, entity) AS from_top,
        row_number() OVER (PARTITION BY entity_group ORDER BY weight, entity DESC) AS from_bottom
    FROM gate_weights
    JOIN entity_vocabulary USING (dataset, entity_group, entity)
    WHERE dataset = $dataset AND variant = $variant AND entity <> '<unk>'
        AND entity_vocabulary.product_count >= $minimum
)
SELECT
    entity_group,
    list(entity || ' (' || printf('%.2f', weight) || ')' ORDER BY from_top) FILTER (WHERE from_top <= $shown) AS top,
    list(entity || ' (' || printf('%.2f', weight) || ')' ORDER BY from_bottom)
        FILTER (WHERE from_bottom <= $shown AND from_top > $shown) AS bottom
FROM known
GROUP BY entity_group
ORDER BY entity_group
"""

STATES = """
SELECT facet, value, products, r1
FROM recall_breakdowns
WHERE dataset = $dataset AND variant = $variant AND direction = 't2i' AND facet LIKE '% state'
ORDER BY facet, value
"""

CUT_SHARE = """
SELECT cut_share, context_length
FROM profile_descriptions
WHERE dataset = $dataset AND split = 'test'
"""

SHUFFLES = """
SELECT entity_group, direction, r1, r1_shuffled, r1_lost
FROM entity_shuffles
WHERE dataset = $dataset AND variant = $variant
ORDER BY entity_group, direction
"""

TRAINING_LOG = """
SELECT variant, step, loss_joint, gates
FROM training_log
WHERE dataset = $dataset
ORDER BY variant, step
"""

TRAININGS = """
SELECT
    variant,
    max(epoch) + 1 AS epochs,
    max(step) + 1 AS steps,
    max_by(loss_joint, step) AS loss_joint,
    max_by(pairs_per_second, step) AS pairs_per_second,
    max(seconds) AS seconds
FROM training_log
WHERE dataset = $dataset
GROUP BY variant
"""

CONFOUNDED = """
SELECT
    entity,
    list(entity_group ORDER BY prior DESC, entity_group) AS groups,
    list(prior ORDER BY prior DESC, entity_group) AS priors,
    sum(tagged_count) AS tagged,
    any_value(untagged_mentions) AS untagged
FROM semantic_prior
WHERE dataset = $dataset
GROUP BY entity
HAVING untagged > 0
QUALIFY row_number() OVER (PARTITION BY groups[1] ORDER BY untagged DESC, tagged, entity) <= $shown
ORDER BY groups[1], untagged DESC, tagged, entity
"""

SPLITS = """
SELECT split, count(*) AS products, sum(image_count) AS images
FROM products
WHERE dataset = $dataset
GROUP BY split
ORDER BY list_position(['train', 'validation', 'test'], split)
"""

ENTITY_COVERAGE = """
SELECT entity_group, entities, tagged, unseen
FROM (
    SELECT entity_group, count(*) - 1 AS entities
    FROM entity_vocabulary
    WHERE dataset = $dataset
    GROUP BY entity_group
)
LEFT JOIN (
    SELECT entity_group, count(*) AS tagged, count(*) FILTER (WHERE split = 'test' AND entity_id = 0) AS unseen
    FROM product_entities
    WHERE dataset = $dataset
    GROUP BY entity_group
) USING (entity_group)
ORDER BY entity_group
"""

DUPLICATES = """
SELECT
    count(DISTINCT group_id) AS groups,
    count(*) AS members,
    count(*) FILTER (WHERE split = 'test') AS tested,
    count(*) FILTER (WHERE split = 'excluded') AS excluded
FROM product_groups
JOIN products USING (dataset, product_id)
WHERE dataset = $dataset
HAVING count(*) > 0
"""

QUARANTINE = """
SELECT split_part(reason, ':', 1) AS kind, count(*) AS rows, min(reason) AS example
FROM quarantine
WHERE dataset = $dataset
GROUP BY kind
ORDER BY rows DESC, kind
LIMIT $shown
"""

EMBEDDINGS = """
SELECT item_id, product_id, embedding
FROM embeddings
WHERE dataset = $dataset AND variant = $variant AND kind = $kind
ORDER BY item_id
"""


def select(connection: duckdb.DuckDBPyConnection, query: str, **parameters: Any) -> list[dict[str, Any]]:
    """Rows of a query as dictionaries; none where a view, a column of it or its files are not there (yet).

    A column is missing where a table was made by an older version: what reads it waits for the table to be made again.
    """
    try:
        result = connection.execute(query, parameters)
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.IOException):
        return []
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def has_view(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the catalogue has the view."""
    found = connection.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = $name", {"name": name}).fetchone()
    return bool(found and found[0])
