"""Where a section takes its plots and tables from: one dataset of a catalogue."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from eiclip.report.document import Block, Fold, Pair, Picture, Text, kept
from eiclip.report.tables import Table
from eiclip.report.theme import Plot, svg

MakeTable = Callable[[duckdb.DuckDBPyConnection, str], Table | None]
Sentence = Callable[[duckdb.DuckDBPyConnection, str], str | None]


@dataclass(frozen=True)
class Source:
    """A dataset of a home's catalogue; whatever is asked of it is None where it has not been made."""

    connection: duckdb.DuckDBPyConnection
    dataset: str
    home: Path

    def picture(self, plot: Plot, alt: str, caption: str = "") -> Picture | None:
        """A plot as SVG."""
        drawn = plot(self.connection, self.dataset)
        return Picture(svg(drawn), alt, caption) if drawn else None

    def table(self, make: MakeTable) -> Table | None:
        """A table."""
        return make(self.connection, self.dataset)

    def sentence(self, make: Sentence, *, quiet: bool = False) -> Text | None:
        """A sentence computed from the numbers."""
        text = make(self.connection, self.dataset)
        return Text(text, quiet=quiet) if text else None


def pair(*blocks: Block | None) -> Pair:
    """What is there of these, side by side."""
    return Pair(kept(*blocks))


def fold(title: str, *blocks: Block | None) -> Fold:
    """What is there of these, behind a title."""
    return Fold(title, kept(*blocks))
