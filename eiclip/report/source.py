"""What the report's templates are rendered with: one dataset of a catalogue, its rows, plots and numbers as text.

Tables and sections are Jinja templates of Markdown (`templates/*.md`): Dagster's UI shows a table as it is, the page
turns whole sections into HTML (`eiclip.report.html`). Values are escaped for both; macros and what is written in a
template are not.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from eiclip.evaluation.breakdowns import MINIMUM_PRODUCTS
from eiclip.evaluation.comparisons import PAIRS
from eiclip.model.variants import VARIANTS
from eiclip.report import gallery, numbers
from eiclip.report.paper import PEERS_SAMPLE100, paper_row, peers
from eiclip.report.queries import Row, intervals, select
from eiclip.report.standing import chance, chance_of_styles, no_verdict
from eiclip.report.theme import data_uri, svg, svg_size
from eiclip.same_style import VIEW_PAIRS
from eiclip.studies.trials import ABLATIONS

TEMPLATES = Path(__file__).parent / "templates"
MARKDOWN = re.compile(r"([\\`*_\[\]|$~])")
"""What means something anywhere in a line of Markdown."""


@dataclass
class Source:
    """A dataset of a home's catalogue; whatever is asked of it is empty where it has not been made."""

    connection: duckdb.DuckDBPyConnection
    dataset: str
    home: Path
    shown: int = 0
    """Tables, plots and galleries given so far: a section without any has nothing to show."""
    pictures: list[Markup] = field(default_factory=list)
    """HTML that stands in the Markdown as `<!-- 0 -->`, and so on: it is large, and not to be read as Markdown."""

    def rows(self, name: str, **parameters: Any) -> list[Row]:
        """The rows of `sql/report/<name>.sql` for this dataset."""
        return select(self.connection, name, dataset=self.dataset, **parameters)

    def table(self, rows: Sequence[Any], caption: str, columns: str) -> Markup:
        """The caption and the head of a table of `rows`; nothing where there are none.

        Args:
            columns: their names, as `Group | Products>`: numbers (`>`) stand to the right.
        """
        if not rows:
            return Markup("")
        self.shown += 1
        names = [name.strip() for name in columns.split("|")]
        rule = ["--:" if name.endswith(">") else ":--" for name in names]
        head = " | ".join(plain(name.removesuffix(">")) for name in names)
        return Markup(f"\n**{plain(caption)}**\n\n| {head} |\n| {' | '.join(rule)} |")

    def picture(self, plot: str, alt: str, caption: str = "") -> Markup:
        """A plot of this package (`plots.recall_plot`); nothing where it has nothing to draw."""
        drawn = resolve_name(f"eiclip.report.{plot.replace('.', ':')}")(self.connection, self.dataset)
        if drawn is None:
            return Markup("")
        image = svg(drawn)
        uri, (width, height) = data_uri(image, "image/svg+xml"), svg_size(image)
        return self.placed(render("picture.html", uri=uri, alt=alt, caption=caption, width=width, height=height))

    def placed(self, html: Markup) -> Markup:
        """A place in the Markdown for HTML."""
        self.shown += 1
        self.pictures.append(html)
        return Markup(f"\n<!-- {len(self.pictures) - 1} -->\n")

    @functools.cached_property
    def queries(self) -> gallery.Gallery | str:
        """Queries won and lost with their photos, or what must be made before there can be any."""
        return gallery.gallery(self.connection, self.home, self.dataset)

    def gallery(self) -> Markup:
        """The queries won and lost, in full."""
        if isinstance(self.queries, str):
            return plain(self.queries)
        limits = {"won": gallery.WON, "lost": gallery.LOST, "top": gallery.TOP}
        return self.placed(render("gallery.html", shown=self.queries, limits=limits))

    def macro(self, name: str, *arguments: Any) -> Markup:
        """A table or a sentence of `templates/tables` (`gates.by_group`)."""
        file, _, called = name.partition(".")
        module: Any = _environment().get_template(f"tables/{file}.md").make_module(self.names)
        return Markup(getattr(module, called)(*arguments))

    def answer(self, text: str | None) -> Markup:
        """A sentence computed from results, which answers the section's question by itself."""
        self.shown += bool(text)
        return plain(text or "")

    def call(self, function: str, *arguments: Any) -> Any:
        """What a function of this package (`headline.comparison`) gives for this dataset."""
        return resolve_name(f"eiclip.report.{function.replace('.', ':')}")(self.connection, self.dataset, *arguments)

    @property
    def names(self) -> dict[str, Any]:
        """What templates of this dataset know beside what all know."""
        return {
            "rows": self.rows,
            "table": self.table,
            "picture": self.picture,
            "placed": self.placed,
            "answer": self.answer,
            "call_python": self.call,
            "dataset": self.dataset,
            "intervals": functools.partial(intervals, self.connection, self.dataset),
            "gallery": self.gallery,
            "chance": functools.partial(chance, self.connection, self.dataset),
            "chance_of_styles": functools.partial(chance_of_styles, self.connection, self.dataset),
            "no_verdict": functools.partial(no_verdict, self.connection, self.dataset),
        }


def markdown(connection: duckdb.DuckDBPyConnection, dataset: str, macro: str, *arguments: Any) -> str:
    """A table or a sentence of the templates as plain Markdown, for Dagster's UI; empty where there is nothing to show.

    Args:
        macro: file and name, as `gates.by_group`.
        arguments: of the macro.
    """
    return re.sub(r"</?small>", "", Source(connection, dataset, Path()).macro(macro, *arguments)).strip()


def render(template: str, **values: Any) -> Markup:
    """A template with its values filled in and escaped."""
    return Markup(_environment().get_template(template).render(values))


def plain(text: object) -> Markup:
    """Text that Markdown shows as it stands, on one line: names of data can hold anything.

    >>> print(plain("a_b <b> [c]\\n*d* &amp; e"))
    a\\_b &lt;b> \\[c\\] \\*d\\* &amp;amp; e
    """
    if isinstance(text, Markup):
        return text
    line = re.sub(r"&(?=[#\w]+;)", "&amp;", " ".join(str(text).split()))
    return Markup(MARKDOWN.sub(r"\\\1", re.sub(r"<(?! )", "&lt;", line)))


def code(value: str) -> Markup:
    """A value as code in Markdown, in more backticks than it holds."""
    text = " ".join(value.split())
    marks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return Markup(f"{marks}{space}{text}{space}{marks}")


def interval(low: float | None, high: float | None, signed: bool = False) -> Markup:
    """A 95 % interval in small letters; empty where there is none."""
    if low is None or high is None:
        return Markup("")
    shown = numbers.signed if signed else numbers.number
    return Markup(f" <small>{plain(f'[{shown(low)}, {shown(high)}]')}</small>")


def fold(title: str, caller: Callable[[], Markup]) -> Markup:
    """What is called with it, behind a title; nothing where that is empty."""
    body = caller()
    start = f"\n<details><summary>{escape(title)}</summary>"
    return Markup(f"{start}\n\n{body}\n\n</details>\n\n") if body.strip() else body


def pair(caller: Callable[[], Markup]) -> Markup:
    """What is called with it, side by side where there is room; nothing where that is empty."""
    body = caller()
    return Markup(f'\n<div class="pair">\n\n{body}\n\n</div>\n\n') if body.strip() else body


def by(rows: Iterable[Row], *columns: str) -> dict[Any, Row]:
    """Rows by the value of a column, or by the values of several."""
    return {row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns): row for row in rows}


def best(value: float | None, rows: Sequence[Row], column: str) -> Markup:
    """A number of a column, bold where no row has a higher one."""
    highest = value is not None and value == max(row[column] for row in rows if row[column] is not None)
    return Markup(f"**{numbers.number(value)}**" if highest else numbers.number(value))


@pass_context
def _escaped(context: Context, value: Any) -> Any:
    """A value as it is put into a template: for Markdown in `.md`; HTML escapes by itself."""
    return plain(value) if (context.name or "").endswith(".md") else value


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, finalize=_escaped,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "n": numbers.number, "signed": numbers.signed, "p": numbers.p_value, "percent": numbers.percent,
        "times": numbers.times, "short": numbers.short, "listed": numbers.listed, "title": numbers.variant_title,
        "short_title": numbers.short_title, "unbroken": numbers.unbroken, "gain": numbers.gain,
        "ordered": numbers.ordered, "views": numbers.views, "code": code, "from_json": json.loads,
        "pre": lambda text: Markup(f'<pre tabindex="0">{escape(text)}</pre>'),
    }  # fmt: skip
    made.globals |= {
        "interval": interval, "fold": fold, "pair": pair, "by": by, "best": best, "paper_row": paper_row,
        "peers": peers, "PEERS": PEERS_SAMPLE100, "VARIANTS": VARIANTS, "NUMBERED": numbers.NUMBERED, "PAIRS": PAIRS,
        "VIEW_PAIRS": VIEW_PAIRS, "ABLATIONS": ABLATIONS, "MINIMUM_PRODUCTS": MINIMUM_PRODUCTS,
    }  # fmt: skip
    return made
