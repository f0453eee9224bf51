"""The report's tables as data: every cell is text ready to show, so that HTML and markdown only lay it out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from eiclip.model.variants import VARIANTS
from eiclip.report.headline import WAYS
from eiclip.report.paper import TABLE_1, paper_row, peers
from eiclip.report.queries import select
from eiclip.report.standing import TITLE, chance

MEASURES = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "sum_r")
HEADINGS = ("I2T R@1", "R@5", "R@10", "T2I R@1", "R@5", "R@10", "SumR")
SHOWN_ENTITIES = 5
MINIMUM_SUPPORT = 5
"""Training products an entity needs to be named among the highest and lowest gates."""
CONFOUNDED_SHOWN = 8
"""Entities of each group: over all groups the materials alone would fill the table."""
REASONS_SHOWN = 20


@dataclass(frozen=True)
class Cell:
    """A number of the leaderboard and its 95 % interval, where known; `best` where no row has a higher number."""

    text: str
    best: bool = False
    interval: str = ""


@dataclass(frozen=True)
class LeaderboardLine:
    """One row of the leaderboard, and what the paper printed for it (empty where nothing compares).

    A row that the paper's Table 1 does not have is our `own`. A peer or chance has neither row nor variant.
    """

    row: str
    variant: str
    title: str
    cells: tuple[Cell, ...]
    paper: tuple[str, ...] = ()
    own: bool = False


@dataclass(frozen=True)
class Table:
    """A plain table: `numeric` says which columns are numbers and stand to the right.

    What follows the first line end of a number is set smaller, below it.
    """

    caption: str
    header: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: Sequence[tuple[str, ...]]


def variant_title(name: str) -> str:
    """The title of a variant; its name where it is none of the rows."""
    return VARIANTS[name].title if name in VARIANTS else name


def number(value: float | None, digits: int = 1) -> str:
    """A number with that many digits after the point and commas between thousands; a dash for none."""
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def short(text: str, length: int = 16) -> str:
    """The text on one line, cut to a length.

    >>> short("one\\ntwo"), short("one two three", 8)
    ('one two', 'one two…')
    """
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def markdown(table: Table) -> str:
    """A table as markdown, its columns of even width; pipes, tags and line ends in cells cannot break it.

    >>> print(markdown(Table("c", ("a", "n"), (False, True), [("x <b>", "1")])))
    | a        |   n |
    | :--      | --: |
    | x &lt;b> |   1 |
    """
    rule = tuple("--:" if numeric else ":--" for numeric in table.numeric)
    rows = [[_plain(cell) for cell in row] for row in (table.header, rule, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, table.numeric, strict=True)
        )
        + " |"
        for row in rows
    )


def _plain(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;")


def interval(low: float | None, high: float | None) -> str:
    """A 95 % interval; empty where there is none.

    >>> interval(17.94, 22.6), interval(None, None)
    ('[17.9, 22.6]', '')
    """
    return "" if low is None or high is None else f"[{number(low)}, {number(high)}]"


def leaderboard(connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str) -> list[LeaderboardLine]:
    """What chance gives, where it is known, and the rows there are, in the paper's order; none without the table."""
    rows = select(connection, "board", dataset=dataset, protocol=protocol)
    floor = chance(connection, dataset, protocol) if rows else None
    best = {name: max((row[name] for row in rows if row[name] is not None), default=None) for name in MEASURES}
    known = intervals(connection, dataset, protocol)
    lines = [_line(row, best, known, dataset, protocol) for row in rows]
    return lines if floor is None else [_unranked(TITLE, [floor[name] for name in MEASURES]), *lines]


def _unranked(title: str, values: Sequence[float | None]) -> LeaderboardLine:
    """A line of no row: a peer's, or chance."""
    return LeaderboardLine("", "", title, tuple(Cell(number(value)) for value in values))


def intervals(
    connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str
) -> dict[tuple[str, str], tuple[float, float]]:
    """Low and high end by variant and by the leaderboard's name of a measure (`i2t_r1`, `sum_r`)."""
    rows = select(connection, "metric_intervals", dataset=dataset, protocol=protocol)
    return {
        (row["variant"], row["measure"] if row["direction"] == "both" else f"{row['direction']}_{row['measure']}"): (
            row["low"],
            row["high"],
        )
        for row in rows
    }


def peer_lines(dataset: str, protocol: str) -> list[LeaderboardLine]:
    """Other methods' printed numbers, to stand below a leaderboard."""
    return [_unranked(title, printed.numbers()) for title, printed in peers(dataset, protocol).items()]


def _line(
    row: dict[str, Any],
    best: dict[str, float | None],
    known: Mapping[tuple[str, str], tuple[float, float]],
    dataset: str,
    protocol: str,
) -> LeaderboardLine:
    cells = tuple(
        Cell(
            number(row[name]),
            row[name] is not None and row[name] == best[name],
            interval(*known.get((row["variant"], name), (None, None))),
        )
        for name in MEASURES
    )
    printed = paper_row(dataset, protocol, row["paper_row"])
    paper = tuple(number(value, 0 if name == "sum_r" else 1) for name, value in _paired(printed))
    label, own = "–" if (place := row["paper_row"]) is None else str(place), place is not None and place not in TABLE_1
    return LeaderboardLine(label, row["variant"], variant_title(row["variant"]), cells, paper, own)


def _paired(printed: Any) -> Sequence[tuple[str, float]]:
    return [] if printed is None else list(zip(MEASURES, printed.numbers(), strict=True))


def leaderboard_markdown(connection: duckdb.DuckDBPyConnection, dataset: str, protocol: str) -> str:
    """The leaderboard as a markdown table (best numbers bold), for the terminal and for Dagster's metadata."""
    lines = leaderboard(connection, dataset, protocol)
    if not lines:
        return f"No `{protocol}` leaderboard of `{dataset}` yet: materialise `leaderboard`."
    return board_markdown(lines)


def board_markdown(lines: Sequence[LeaderboardLine], *, with_intervals: bool = False) -> str:
    """Lines of a leaderboard as a markdown table."""
    rows: list[tuple[str, ...]] = []
    for line in lines:
        title = f"{line.title} (not in the paper)" if line.own else line.title
        rows.append((line.row, title, *(_marked(cell, with_intervals) for cell in line.cells)))
        if line.paper and with_intervals:
            rows.append(("", "*paper*", *line.paper))
    return markdown(Table("", ("row", "model", *HEADINGS), (True, False) + (True,) * len(HEADINGS), rows))


def _marked(cell: Cell, with_intervals: bool) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    return f"{text} {cell.interval}".rstrip() if with_intervals else text


def gate_extremes(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """The entities with the highest and lowest gates of each group, rare ones left aside."""
    rows = select(
        connection, "gate_extremes", dataset=dataset, variant="eiclip",
        minimum=MINIMUM_SUPPORT, shown=SHOWN_ENTITIES,
    )  # fmt: skip
    caption = f"Highest and lowest gates among entities of at least {MINIMUM_SUPPORT} training products"
    lines = [(row["entity_group"], ", ".join(row["top"] or ()), ", ".join(row["bottom"] or ()) or "–") for row in rows]
    return Table(caption, ("Group", "Highest", "Lowest"), (False,) * 3, lines) if lines else None


def shuffles(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Recall@1 when each group's entities are dealt out anew among the test products, and what that loses."""
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for row in select(connection, "shuffles", dataset=dataset, variant="eiclip"):
        groups.setdefault(row["entity_group"], {})[row["direction"]] = row
    if not groups:
        return None
    whole = {way: row["r1"] for rows in groups.values() for way, row in rows.items()}
    before = " and ".join(f"{number(whole[way])} {name}" for way, name in WAYS.items() if way in whole)
    lines = [(group, *_shuffled(rows.get("i2t")), *_shuffled(rows.get("t2i"))) for group, rows in groups.items()]
    header = ("Group", "I2T R@1", "lost", "T2I R@1", "lost")
    return Table(f"Recall@1 after shuffling; before: {before}", header, (False,) + (True,) * 4, lines)


def _shuffled(row: dict[str, Any] | None) -> tuple[str, str]:
    return (number(row["r1_shuffled"]), number(row["r1_lost"])) if row else ("–", "–")


def trainings(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """How long each variant was trained, and where its loss ended."""
    rows = select(connection, "trainings", dataset=dataset)
    verdicts = {row["variant"]: row["verdict"] for row in select(connection, "outcomes", dataset=dataset)}
    order = list(VARIANTS)
    rows.sort(key=lambda row: (order.index(row["variant"]) if row["variant"] in order else len(order), row["variant"]))
    lines = [
        (
            variant_title(row["variant"]),
            f"{row['epochs']:,}",
            f"{row['steps']:,}",
            number(row["loss_joint"], 3),
            number(row["pairs_per_second"], 0),
            number(row["seconds"] / 60),
            verdicts.get(row["variant"], "–"),
        )
        for row in rows
    ]
    header = ("Model", "Epochs", "Steps", "Last loss", "Pairs a second", "Minutes", "Outcome")
    return Table("Trainings", header, (False, *(True,) * 5, False), lines) if lines else None


def outcomes(connection: duckdb.DuckDBPyConnection, dataset: str) -> str | None:
    """What is said of trainings that have not learned, or still rose when they ended; None where all have learned."""
    rows = [row for row in select(connection, "outcomes", dataset=dataset) if row["verdict"] != "learned"]
    return " ".join(f"{variant_title(row['variant'])}: {row['message']}." for row in rows) or None


def confounded(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Entities whose words descriptions use most often without the tag."""
    rows = select(connection, "confounded", dataset=dataset, shown=CONFOUNDED_SHOWN)
    lines = [
        (
            row["entity"],
            _meanings(row["groups"], row["priors"]),
            f"{row['tagged']:,}",
            f"{row['untagged']:,}",
            f"{100 * row['untagged'] / (row['untagged'] + row['tagged']):.0f} %",
        )
        for row in rows
    ]
    header = ("Entity", "Tagged as", "Tagged", "Untagged mentions", "Untagged share")
    caption = f"The entities of each group with the most untagged mentions (up to {CONFOUNDED_SHOWN})"
    return Table(caption, header, (False, False, True, True, True), lines) if lines else None


def _meanings(groups: Sequence[str], priors: Sequence[float]) -> str:
    if len(groups) == 1:
        return groups[0]
    return ", ".join(f"{group} {100 * prior:.0f} %" for group, prior in zip(groups, priors, strict=True))


def splits(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Products and photos of each split."""
    rows = select(connection, "splits", dataset=dataset)
    if not rows:
        return None
    rows.append({"split": "all"} | {name: sum(row[name] for row in rows) for name in ("products", "images")})
    lines = [(row["split"], f"{row['products']:,}", f"{row['images']:,}") for row in rows]
    return Table("Accepted products and photos", ("Split", "Products", "Photos"), (False, True, True), lines)


def entity_coverage(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """How many entities each group has, how many products carry one, and how many in test were too rare to learn."""
    rows = select(connection, "entity_coverage", dataset=dataset)
    lines = [
        (row["entity_group"], *(f"{row[name] or 0:,}" for name in ("entities", "tagged", "unseen"))) for row in rows
    ]
    header = ("Group", "Entities with an embedding", "Products tagged", "Test products of a rare or new entity")
    return Table("Entity groups", header, (False, True, True, True), lines) if lines else None


def duplicates(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """How many products are known to be duplicates of others, and what became of them; None where there are none."""
    rows = select(connection, "duplicates", dataset=dataset)
    lines = [tuple(f"{row[name]:,}" for name in ("groups", "members", "tested", "excluded")) for row in rows]
    header = ("Groups", "Products in them", "Of them in test", "Excluded from training")
    return Table("Known duplicates", header, (True,) * 4, lines) if lines else None


def quarantine(connection: duckdb.DuckDBPyConnection, dataset: str) -> Table | None:
    """Raw rows set aside, by reason (what follows a reason's colon differs by row: one is shown)."""
    rows = select(connection, "quarantined_kinds", dataset=dataset, shown=REASONS_SHOWN)
    lines = [(row["kind"], f"{row['rows']:,}", row["example"]) for row in rows]
    header = ("Reason", "Rows", "For example")
    return Table("Raw rows in quarantine", header, (False, True, False), lines) if lines else None
