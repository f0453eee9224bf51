"""Markdown of the report's sections as HTML: tables that scroll, each with its numbers as CSV beside it."""

import csv
import io
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from eiclip.report.numbers import unbroken

LEFT, RIGHT = "text-align:left", "text-align:right"
"""How Markdown marks columns."""
MEASURED = re.compile(r"([+−±]?[\d,]*\.?\d+)(?: %| points)?(?: \[(\S+), (\S+)\])?")
"""A number, its unit, and its interval."""

NO_NUMBERS = ("", "–", "not learned")  # in columns of numbers


class _Tables(RendererHTML):
    """Tables within a region that scrolls, titled by the paragraph before it, with a link to their CSV."""

    def table_open(self, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
        """The title, the link, and the region's start."""
        title = tokens[place].meta.get("title", "Table")
        content = b64encode(as_csv(list(_cells(tokens[place:]))).encode()).decode()
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
        link = f'<a download="{name}.csv" href="data:text/csv;charset=utf-8;base64,{content}">CSV</a>'
        return (
            f'<div class="table"><div class="title"><span>{escape(title)}</span>{link}</div>'
            f'<div class="scroll" role="region" aria-label="{escape(title)}" tabindex="0"><table>\n'
        )

    def table_close(self, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
        """The region's end."""
        return "</table></div></div>\n"

    def td_open(self, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
        """A cell: long texts are given room."""
        length = 0 if tokens[place].attrGet("style") == RIGHT else len(_text(tokens[place + 1]))
        if length > 20:
            tokens[place].attrSet("class", "long" if length > 60 else "mid")
        return self.renderToken(tokens, place, options, env)


_MARKDOWN = MarkdownIt("commonmark", {"html": True}, renderer_cls=_Tables).enable("table")


def as_html(text: str, pictures: Sequence[Markup] = ()) -> Markup:
    """Markdown as HTML, with the HTML in it that was left for later (`<!-- 0 -->`)."""
    tokens = _titled(_MARKDOWN.parse(text))
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    html = unbroken(html).replace(f' style="{RIGHT}"', ' class="n"').replace(f' style="{LEFT}"', "")
    return Markup(re.sub(r"<!-- (\d+) -->", lambda found: pictures[int(found[1])], html))


def _titled(tokens: list[Token]) -> list[Token]:
    """The tokens, with the paragraph before a table as its title."""
    kept: list[Token] = []
    for token in tokens:
        if token.type == "table_open" and [one.type for one in kept[-3:-1]] == ["paragraph_open", "inline"]:
            token.meta["title"] = _text(kept[-2])
            del kept[-3:]
        kept.append(token)
    return kept


def _cells(tokens: Sequence[Token]) -> Iterator[list[str]]:
    """Rows of the table that the tokens begin with."""
    row: list[str] = []
    for place, token in enumerate(tokens):
        if token.type == "table_close":
            return
        if token.type == "tr_close":
            yield row
            row = []
        elif token.type == "inline" and tokens[place - 1].type in ("th_open", "td_open"):
            row.append(_text(token))


def _text(token: Token) -> str:
    """The text of a token without its markup."""
    return "".join(child.content for child in token.children or () if child.type in ("text", "text_special"))


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """A table's cells as CSV: numbers as programs read them, an interval in two columns of its own, no name twice.

    >>> table = [["Model", "SumR", "p", "R@1", "p"], ["a", "1,234.5 [−1.0, 2.0]", "0.1", "20", "0.2"], ["b", *"––––"]]
    >>> print(as_csv(table).replace("\\r", ""), end="")
    Model,SumR,SumR low,SumR high,p beside SumR,R@1,p beside R@1
    a,1234.5,-1.0,2.0,0.1,20,0.2
    b,,,,,,
    """
    head, *body = rows
    of_numbers = [
        all(cell in NO_NUMBERS or MEASURED.fullmatch(cell) for cell in column) for column in zip(*body, strict=True)
    ]
    found = [[MEASURED.fullmatch(cell) if those else None for cell, those in zip(row, of_numbers, strict=True)]
             for row in body]  # fmt: skip
    columns = zip(*found, strict=True) if found else ((),) * len(head)
    wide = [any(match is not None and match[2] for match in column) for column in columns]
    lines = [[name for title, more in zip(_once(head), wide, strict=True)
              for name in ((title, f"{title} low", f"{title} high") if more else (title,))]]  # fmt: skip
    for cells, matches in zip(body, found, strict=True):
        line: list[str] = []
        for cell, match, more in zip(cells, matches, wide, strict=True):
            value = match.groups() if match else ("" if cell == "–" else cell, "", "")
            shown = [part or "" for part in value[: 3 if more else 1]]
            line += [part.replace(",", "").replace("−", "-").lstrip("+±") for part in shown] if match else shown
        lines.append(line)
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue()


def _once(names: Sequence[str]) -> list[str]:
    """Column names with what stands twice named by the column at its left that does not."""
    told, left = [], ""
    for name in names:
        once = names.count(name) == 1
        told.append(name if once else f"{name} beside {left}")
        left = name if once else left
    return told
