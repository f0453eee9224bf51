"""A section as markdown with its plots inside, for Dagster's UI."""

from collections.abc import Sequence

from eiclip.report.document import (
    Block,
    Board,
    Code,
    Commands,
    Fold,
    Heading,
    Pair,
    Picture,
    Section,
    Text,
)
from eiclip.report.gallery import Gallery, Query
from eiclip.report.tables import Table, board_markdown
from eiclip.report.tables import markdown as table_markdown
from eiclip.report.theme import as_markdown_image


def as_markdown(section: Section) -> str:
    """The section's title and blocks; what to materialise where it has none."""
    return "\n\n".join([f"## {plain(section.title)}", *_written(section.blocks), plain(section.missing)]).strip()


def plain(text: str) -> str:
    """Text that markdown shows as it stands.

    >>> print(plain("a_b <b> [c] *d*"))
    a\\_b &lt;b> \\[c\\] \\*d\\*
    """
    marked = text.replace("\\", "\\\\").replace("<", "&lt;")
    for mark in "`*_[]$|":
        marked = marked.replace(mark, f"\\{mark}")
    return marked


def _written(blocks: Sequence[Block]) -> list[str]:
    return [text for block in blocks if (text := _block(block))]


def _block(block: Block) -> str:
    match block:
        case Text():
            return plain(block.text)
        case Heading():
            return f"### {plain(block.text)}"
        case Picture():
            return "\n\n".join(
                filter(None, [as_markdown_image(block.image, block.alt, "image/svg+xml"), plain(block.caption)])
            )
        case Board():
            return f"**{plain(block.caption)}**\n\n{board_markdown(block.lines, with_intervals=True)}"
        case Table():
            return f"**{plain(block.caption)}**\n\n{table_markdown(block)}"
        case Code():
            return "\n".join(f"    {line}" for line in block.text.splitlines())
        case Commands():
            entries = (f"- {plain(question)} `{command}`" for question, command in block.entries)
            return "\n".join([plain(block.caption), "", *entries])
        case Fold():
            return "\n\n".join([f"### {plain(block.title)}", *_written(block.blocks)])
        case Pair():
            return "\n\n".join(_written(block.blocks))
        case Gallery():
            return _gallery(block)


def _gallery(shown: Gallery) -> str:
    """The gallery in words: its photos are in the page alone, which is where there is room for them."""
    lines = []
    for title, queries in (("Won by row 5", shown.won), ("Lost by row 5", shown.lost)):
        lines += [f"### {title}", "\n".join(map(_query, queries)) or "There is none."]
    return "\n\n".join(lines)


def _query(query: Query) -> str:
    places = ", ".join(f"row {strip.row} at {strip.rank:,}" for strip in query.strips)
    return f"- {plain(query.text)} (right photo: {places})"
