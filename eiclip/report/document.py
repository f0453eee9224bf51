"""What a report consists of, before it is laid out: the HTML page and Dagster's metadata show the same blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from eiclip.report.gallery import Gallery
from eiclip.report.tables import LeaderboardLine, Table
from eiclip.report.theme import data_uri, svg_size


@dataclass(frozen=True)
class Text:
    """A paragraph; `quiet`: a remark, in smaller letters."""

    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Heading:
    """The title of a part of a section."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A plot as SVG, whose colours follow the reader's scheme."""

    image: bytes
    alt: str
    caption: str = ""

    @property
    def uri(self) -> str:
        """The image as a data URI."""
        return data_uri(self.image, "image/svg+xml")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels: the page keeps the place free before it is drawn."""
        return svg_size(self.image)


@dataclass(frozen=True)
class Board:
    """A leaderboard."""

    caption: str
    lines: Sequence[LeaderboardLine]


@dataclass(frozen=True)
class Code:
    """Text to be read letter by letter, or copied."""

    text: str


@dataclass(frozen=True)
class Commands:
    """What has not been run, and the command that runs each."""

    caption: str
    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Pair:
    """Pictures side by side, or pictures beside what is said of them, where there is room."""

    blocks: Sequence["Block"]

    @property
    def columns(self) -> list[Sequence["Block"]]:
        """A column for each picture, and one for all that is no picture, in the order of their first blocks."""
        columns: list[list[Block]] = []
        told: list[Block] = []
        for block in self.blocks:
            if isinstance(block, Picture):
                columns.append([block])
            else:
                if not told:
                    columns.append(told)
                told.append(block)
        return [*columns]


@dataclass(frozen=True)
class Fold:
    """Blocks that are opened by a click on their title."""

    title: str
    blocks: Sequence["Block"]


Block = Text | Heading | Picture | Board | Table | Code | Commands | Pair | Fold | Gallery


@dataclass(frozen=True)
class Section:
    """One question and what answers it.

    Attributes:
        key: short and stable, for anchors and metadata.
        short: for the table of contents.
        missing: what to do where there is no answer yet.
    """

    key: str
    title: str
    short: str
    blocks: Sequence[Block] = field(default_factory=tuple)
    missing: str = ""


def kept(*blocks: Block | None) -> tuple[Block, ...]:
    """The blocks that there are; of pairs and folds what is in them."""
    return tuple(block for block in blocks if block is not None and not _is_empty(block))


def titled(title: str, *blocks: Block | None) -> tuple[Block, ...]:
    """The blocks that there are, under a title; nothing where there are none."""
    found = kept(*blocks)
    return (Heading(title), *found) if found else ()


def _is_empty(block: Block) -> bool:
    if isinstance(block, Pair | Fold):
        return not block.blocks
    if isinstance(block, Board):
        return not block.lines
    return isinstance(block, Commands) and not block.entries


def evidence(blocks: Sequence[Block]) -> Iterator[Block]:
    """Blocks that hold results, at any depth: a section of explanations alone has nothing to show."""
    for block in blocks:
        if isinstance(block, Pair | Fold):
            yield from evidence(block.blocks)
        elif not isinstance(block, Text | Heading | Commands):
            yield block
