"""The command line: `eiclip search`, `evaluate` and `export`. docs/search.md has examples.

Exit status 0: an answer; 1: an error, in one line; 2: the command line itself is wrong.
"""

import argparse
import importlib.metadata
import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from eiclip.errors import EiclipError, RawDataError, SettingsError, did_you_mean
from eiclip.readers.queries import read_queries
from eiclip.search.query import RANKINGS, SORTS, VIEWS, Answer, PriceRange, Query
from eiclip.search.sources import RANKED, RERANKER, SERVED, trained_variants
from eiclip.settings.load import load_settings
from eiclip.settings.queries import QuerySettings
from eiclip.storage.home import Paths

SPLITS = ("train", "validation", "test")
GROUP = "with --GROUP VALUE, as in --brand gucci, short for --entity GROUP=VALUE: any entity group of the dataset"
STORES = ("parquet", "lancedb", "pgvector")  # what `export` writes
VALUES_SHOWN = 10  # counted values of a facet; JSON has them all


def run(parser: argparse.ArgumentParser, commands: Any, arguments: Sequence[str] | None) -> int:
    """Run the command that a parser finds in the arguments (the process's, if None); returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] not in commands.choices and not arguments[0].startswith("-"):
        there = f"{', '.join(commands.choices)}{did_you_mean(arguments[0], commands.choices)}"
        parser.error(f"no command {arguments[0]!r}: there are {there}")
    given, other = parser.parse_known_args(arguments)
    given.other = other
    try:
        if given.other and given.command is not _search:
            _refuse(given, given.other[0])
        given.command(given)
    except BrokenPipeError:  # whoever reads has read enough
        sys.stdout = None  # it cannot be flushed at exit
    except (EiclipError, OSError) as error:
        sys.stderr.write(f"eiclip: {' '.join(str(error).split())}\n")
        return 1
    return 0


def command_line() -> tuple[argparse.ArgumentParser, Any]:
    """Return the parser, and its commands, to which others can be added: each sets `command`, which gets what is given,
    and `parser`, its own.

    An option's name is that of the field of `Query` which it fills, where it fills one.
    """
    parser = argparse.ArgumentParser(prog="eiclip", description="Ask a home.")
    version = f"eiclip {importlib.metadata.version('eiclip')}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    # Whole options alone: one that is cut off might be meant for an entity group.
    search = commands.add_parser(
        "search", help="products by words, a photo, entities or another product", epilog=GROUP, allow_abbrev=False
    )
    search.set_defaults(command=_search, parser=search)
    pairs: dict[str, Any] = {"type": _pair, "action": "append", "default": [], "metavar": "GROUP=VALUE"}
    _add_where(search)
    what = search.add_argument_group("what to look for")
    what.add_argument("--text", default="", help="words; entities are found in them")
    what.add_argument("--image", type=Path, help="a photo (JPEG, PNG, WEBP)")
    what.add_argument("--like", dest="product_id", metavar="PRODUCT_ID", help="a product of the catalogue")
    what.add_argument("--entity", **pairs, help="a tag; repeatable, for several of a group too")
    how = search.add_argument_group("how")
    how.add_argument("--filter", **pairs, help="products with this alone; repeatable, alternatives within a group")
    how.add_argument("--price", type=_price, default=(None, None), metavar="LOW-HIGH", help="20-40, -40 or 20-")
    how.add_argument("--available", action="store_true", help="products in stock alone")
    how.add_argument("--sort", choices=SORTS, default="match", help="the best matches by price; --sort=-price: falling")
    how.add_argument("--page", type=int, default=1, metavar="N", help="the Nth `--top` products (1)")
    how.add_argument("--facets", action="store_true", help="count the values of the products that the filters leave")
    how.add_argument("--without", dest="negative", default="", metavar="WORDS", help="words for what is not wanted")
    how.add_argument("--take-out", **pairs, help="an attribute to take out of the style")
    how.add_argument("--put-in", **pairs, help="an attribute to put in")
    how.add_argument("--image-weight", type=float, default=0.5, metavar="SHARE", help="of the photo, not words (0.5)")
    how.add_argument("--by", choices=RANKINGS, default="hybrid", help="what ranks: vectors, words, or all (hybrid)")
    how.add_argument("--view", choices=VIEWS, default="joint", help="of the products, where vectors rank (joint)")
    how.add_argument("--top", type=int, default=10, metavar="N", help="products to show (10)")
    how.add_argument("--no-linking", action="store_false", dest="link", help="do not look for entities in the words")
    how.add_argument("--unlink", action="append", default=[], metavar="ENTITY", help="one not to link; repeatable")
    again = f"score the first products again, with {RERANKER} (by {RANKED}, unless --variant names another)"
    how.add_argument("--rerank", action="store_true", help=again)
    how.add_argument("--json", action="store_true", help="the whole answer as JSON")
    judge = commands.add_parser(
        "evaluate",
        aliases=["judge"],
        help="measures of queries whose relevant products are known",
        allow_abbrev=False,
    )
    judge.set_defaults(command=_judge, parser=judge)
    asked = judge.add_mutually_exclusive_group(required=True)
    asked.add_argument(
        "queries", nargs="?", type=Path, metavar="QUERIES", help="CSV, JSON, Parquet (query, product_id, grade), qrels"
    )
    asked.add_argument("--names", choices=SPLITS, help="a split's product names instead")
    asked.add_argument("--generated", action="store_true", help="kinds, brand + kind, ... of the catalogue instead")
    judge.add_argument("--texts", type=Path, metavar="FILE", help="the queries' words by id, where QUERIES has ids")
    judge.add_argument("--log", action="store_true", help="QUERIES is a search log: a row a click")
    _add_where(judge)
    judge.add_argument(
        "--view", choices=VIEWS, default="image", help="of the products (image, the mean of their photos)"
    )
    judge.add_argument("--split", choices=(*SPLITS[1:], "all"), default="all", help="whose products are ranked (all)")
    judge.add_argument("--worst", type=int, default=0, metavar="N", help="show the N worst queries of hybrid, too")
    judge.add_argument("--json", action="store_true", help="the figures as JSON")
    export = commands.add_parser("export", help="products with their vectors, for what a shop runs", allow_abbrev=False)
    export.set_defaults(command=_export, parser=export)
    export.add_argument("output", type=Path, metavar="OUTPUT", help="the file, or the folder of a LanceDB database")
    export.add_argument("--to", choices=STORES, default="parquet", help="parquet; a table of LanceDB; SQL for pgvector")
    export.add_argument("--table", metavar="NAME", help="of the store (the dataset's name)")
    _add_where(export)
    return parser, commands


def _add_where(command: argparse.ArgumentParser) -> None:
    where = command.add_argument_group("where")
    where.add_argument("--home", type=Path, help="EICLIP_HOME, or what the settings say")
    where.add_argument("--dataset", help="needed where the home has several")
    where.add_argument("--variant", help=f"whose model ({' or '.join(SERVED)}: the first there is)")


def _pair(text: str) -> tuple[str, str]:
    group, value = (part.strip() for part in text.partition("=")[::2])
    if not (group and value):
        raise argparse.ArgumentTypeError(f"{text!r} is no GROUP=VALUE, as brand=gucci is")
    return group, value


def _price(text: str) -> PriceRange:
    low, dash, high = (part.strip() for part in text.partition("-"))
    try:
        found = float(low) if low else None, float(high) if high else None
    except ValueError:
        dash = ""
    if not dash or found == (None, None):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of prices; write 20-40, -40 or 20-")
    return found


def _refuse(given: argparse.Namespace, option: str, groups: Sequence[str] = ()) -> None:
    """End with what is wrong with an option that the command does not have."""
    own = re.findall(r"--[a-z-]+", given.parser.format_usage())
    near = did_you_mean(option.partition("=")[0], [*own, *(f"--{group}" for group in groups)])
    if given.command is _search and not option.startswith("-"):
        near = f"; words to search by follow --text: --text {shlex.quote(option)}"
    of_groups = f"; the dataset's groups: {', '.join(groups)}" if groups else ""
    given.parser.error(f"no option {option}{of_groups}{near}")


def _named_groups(given: argparse.Namespace, groups: Sequence[str]) -> list[tuple[str, str]]:
    """Return what options of the dataset's own groups (`--brand gucci`, `--brand=gucci`) ask for; others end it."""
    found, rest = [], list(given.other)
    while rest:
        option = rest.pop(0)
        group, equals, value = option.removeprefix("--").partition("=")
        if not option.startswith("--") or group not in groups or not (equals or rest):
            _refuse(given, option, groups)
        found.append((group, value if equals else rest.pop(0)))
    return found


def _photo(path: Path) -> bytes:
    """Return the bytes of a photo that can be read. Raises RawDataError."""
    from eiclip.readers.base import UnusablePhotoError
    from eiclip.readers.photo_files import decode_rgb, photo_bytes

    try:
        content = photo_bytes(path, str(path))
        decode_rgb(content, str(path))
    except (UnusablePhotoError, OSError, ValueError) as error:
        raise RawDataError(f"--image: {error}; give a file that is a JPEG, PNG or WEBP photo") from error
    return content


def _search(given: argparse.Namespace) -> None:
    if given.other and not any(given.other[1:] or "=" in one for one in given.other):  # no group has no value
        _refuse(given, given.other[0])
    same = (
        "text", "product_id", "negative", "image_weight", "view", "by", "top", "link", "price", "available", "sort",
        "facets", "rerank",
    )  # fmt: skip
    if given.page < 1:
        raise SettingsError(f"--page {given.page}: pages count from 1")
    place, of_groups, usual = None, [], RANKED if given.rerank else ""
    if given.other:
        place = _place_of(given.home or load_settings().home, given.dataset, given.variant, usual)
        of_groups = _named_groups(given, _groups_of(*place))
    query = Query(
        **{name: getattr(given, name) for name in same},
        image=given.image and _photo(given.image),
        entities=_by_group(given.entity + of_groups),
        filters=_by_group(given.filter),
        remove=dict(given.take_out),
        add=dict(given.put_in),
        unlink=tuple(given.unlink),
        offset=(given.page - 1) * given.top,
    )
    place = place or _place_of(given.home or load_settings().home, given.dataset, given.variant, usual)
    from eiclip.search.engine import SearchEngine

    answer = SearchEngine.open(*place, keep=True).search(query)
    text = json.dumps(asdict(answer), indent=2, ensure_ascii=False, allow_nan=False) if given.json else _table(answer)
    sys.stdout.write(text + "\n")


def _judge(given: argparse.Namespace) -> None:
    if (given.texts or given.log) and not given.queries:
        raise SettingsError("--texts and --log are of a file of queries: name that, too")
    place = _place_of(given.home or load_settings().home, given.dataset, given.variant)
    rows, notes = None, list[str]()
    if given.queries:
        rows, _, notes = read_queries(given.queries, QuerySettings(file=str(given.queries), log=given.log), given.texts)
    from eiclip.search import judged, queries  # with torch

    engine = judged.SearchEngine.open(*place)
    lake = Paths(place[0]).lake
    if given.names:
        rows = queries.name_queries(lake, place[1], given.names)
    elif rows is None:
        group = next(iter(engine.model.groups), "")
        rows = queries.generated_queries(lake, place[1], given.split, brand_group=group)
    source = str(given.queries or (f"--names {given.names}" if given.names else "--generated"))
    asked = judged.Asked.of(rows, engine.index, given.split, source)
    measured = judged.judged(engine, asked, given.view)
    figures, worst = judged.figures(measured).to_pylist(), judged.worst(measured, given.worst).to_pylist()
    notes = [*notes, *asked.notes]
    if not engine.reader.reads_entities:
        notes.append(f"{place[2]} reads no entities: plain words and linked entities are the same")
    if given.json:
        answer = {"notes": notes, "figures": figures} | ({"worst": worst} if given.worst else {})
        text = json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False)
    else:
        text = "\n".join([*(f"note: {note}" for note in notes), *_figures(figures), *_worst(worst)])
    sys.stdout.write(text + "\n")


def _export(given: argparse.Namespace) -> None:
    place = _place_of(given.home or load_settings().home, given.dataset, given.variant)
    from eiclip.search.export import export

    sys.stdout.write(f"{export(*place, given.output, given.to, given.table)}\n")


def _groups_of(root: Path, dataset: str, variant: str) -> Sequence[str]:
    from eiclip.model.description import Description

    return Description.read(Paths(root).checkpoint(dataset, variant)).vocabulary.groups


def _by_group(pairs: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    return {group: tuple(value for name, value in pairs if name == group) for group, _ in pairs}


def _place_of(root: Path, dataset: str | None, variant: str | None, usual: str = "") -> tuple[Path, str, str]:
    """Return the home, dataset and variant to search: those named, else the only dataset, and `usual` or the best
    variant.

    Raises SettingsError where the home has no model, or models of several datasets and none is named.
    """
    trained = trained_variants(Paths(root))
    if not trained:
        raise SettingsError(f"{root}: no trained model; run `make full_eval`, or name another home with --home")
    if dataset is None and len(trained) > 1:
        raise SettingsError(f"{root} has models of {', '.join(trained)}: name one with --dataset")
    dataset = dataset or next(iter(trained))
    variants = trained.get(dataset, [])
    if not variants or (variant is not None and variant not in variants):
        known = f"those of {dataset}: {', '.join(variants)}" if variants else f"datasets: {', '.join(trained)}"
        near = did_you_mean(variant or "", variants) if variants else did_you_mean(dataset, trained)
        raise SettingsError(f"{root}: no model {dataset}/{variant or SERVED[0]}; there are {known}{near}")
    return root, dataset, variant or (usual if usual in variants else variants[0])


def _table(answer: Answer) -> str:
    """Return an answer to read: how the query was understood, then a product a line."""
    lines = []
    for link in answer.links:
        reading = "read as a tag " if link.kept else "only suggested"
        lines.append(f"{reading} {link.words!r}: {link.group} {link.entity!r} ({link.why})")
    lines += [f"read as a limit {own.words!r}: {own.name}" for own in answer.constraints]
    lines += [f"unknown {group}: {', '.join(map(repr, names))}" for group, names in answer.unknown.items()]
    lines += [f"weight of {group}: {weight:.2f}" for group, weight in answer.gates.items()]
    lines += [f"note: {note}" for note in [*answer.notes, *answer.outcome]]
    rows: list[tuple[str, ...]] = [("", "score", "image", "text", "joint", "product", "price", "title", "tags")]
    for place, hit in enumerate(answer.hits):
        if hit.rank - 1 == answer.matches and place:
            rows.append(("", "nearest by look:", *[""] * (len(rows[0]) - 2)))
        views = [f"{hit.by_view[view]:.3f}" for view in VIEWS]
        price = "" if hit.price is None else f"{hit.price:.2f} {hit.currency or ''}".strip()
        tags = ", ".join(_short(value) for values in hit.entities.values() for value in values)
        rows.append((str(hit.rank), f"{hit.score:.3f}", *views, hit.product_id, price, _short(hit.title), tags))
    shown = _aligned(rows)
    for group, values in answer.facets.items():
        lines.append(f"{group}: {', '.join(f'{_short(value)} {count:,}' for value, count in values[:VALUES_SHOWN])}")
    matches = "" if answer.matches is None else f", {answer.matches:,} of which match,"
    seconds = f"{len(answer.hits)} of {answer.total:,} products{matches} in {1000 * answer.seconds:.0f} ms"
    return "\n".join([*lines, *([""] if lines else []), *(shown if answer.hits else []), seconds])


MEASURES = {"r1": "R@1", "r10": "R@10", "mrr10": "MRR@10", "ndcg10": "nDCG@10", "p10": "P@10"}


def _figures(figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return figures to read: a table of each kind of queries, a reading a line."""
    first = figures[0]
    among = f"{first['candidates']:,} products of {first['dataset']}, view {first['view']}, by {first['variant']}"
    lines = [f"among {among}; percent, with 95 % intervals over queries"]
    for kind, own in groupby(figures, key=itemgetter("kind")):
        rows = [("reading", *MEASURES.values())]
        for row in own:
            linked = f"{row['queries']:,} queries, {row['linked']:,} of them with linked entities"
            rows.append((row["reading"], *(_figure(row, name) for name in MEASURES)))
        lines += ["", f"{kind}: {linked}", *_aligned(rows)]
    return lines


def _figure(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (row[name + end] for end in ("", "_low", "_high"))
    form = "{:+z.1f}" if " - " in row["reading"] else "{:.1f}" if value >= 1 or low is not None else "{:.2g}"
    shown = [form.format(number) for number in (value, low, high) if number is not None]
    return f"{shown[0]} [{', '.join(shown[1:])}]" if low is not None else shown[0]


def _worst(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the worst queries to read; no line where there are none."""
    if not rows:
        return []
    lines = [("nDCG@10", "best rank", "relevant", "kind", "query")]
    for row in rows:
        ranks = (f"{row['ndcg10']:.1f}", f"{row['rank']:,}", f"{row['relevant']:,}")
        lines.append((*ranks, row["kind"], _short(row["query"], 80)))
    return ["", f"worst queries, {rows[0]['reading']}", *_aligned(lines)]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
