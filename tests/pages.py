"""The blocks of the documentation's pages."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^(<!-- not run: [^\n]+ -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of a page; a comment before it says why no test runs it, where none does."""

    page: str
    line: int
    language: str
    text: str
    run: bool


def blocks(page: str, *languages: str) -> list[Block]:
    """Return the blocks of a page (`docs/search.md`), or those in some languages alone."""
    whole = (ROOT / page).read_text(encoding="utf-8")
    found = [
        Block(page, whole[: match.start(2)].count("\n") + 1, match[2], match[3], run=match[1] is None)
        for match in FENCE.finditer(whole)
    ]
    return [block for block in found if not languages or block.language in languages]
