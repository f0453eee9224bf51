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
SELECT variant, protocol, direction, r1, r5, r10, queries
FROM retrieval_metrics
WHERE dataset = $dataset AND protocol = $protocol
ORDER BY variant, direction
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

DUPLICATES_EFFECT = """
SELECT
    paper_row,
    variant,
    max(sum_r) FILTER (WHERE protocol = 'full') AS whole,
    max(sum_r) FILTER (WHERE protocol = 'full_distinct') AS whole_distinct,
    max(sum_r) FILTER (WHERE protocol = 'sample100') AS sampled,
    max(sum_r) FILTER (WHERE protocol = 'sample100_distinct') AS sampled_distinct
FROM leaderboard
WHERE dataset = $dataset
    AND EXISTS (FROM product_groups WHERE product_groups.dataset = $dataset)
GROUP BY paper_row, variant
HAVING count(*) FILTER (WHERE protocol LIKE '%_distinct') > 0
ORDER BY paper_row NULLS LAST, variant
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
    """Rows of a query as dictionaries; none where a view it reads, or the files under that view, are not there yet."""
    try:
        result = connection.execute(query, parameters)
    except (duckdb.CatalogException, duckdb.IOException):
        return []
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def has_view(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the catalogue has the view."""
    found = connection.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = $name", {"name": name}).fetchone()
    return bool(found and found[0])
