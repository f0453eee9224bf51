"""Cells that say something wrong, or in their own way: prices of any country, and rows that share an id."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from benchmarks.fuzz.case import RAW, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import PRODUCTS, Line, dataset, record, rendered, write_lines, write_photos

FORMS = ("1,234.50", "1.234,50", "1 234,50", "1'234.50", "1234.50", "1234,50")
"""How a thousand and a bit is written; a column keeps to one of them."""
NO_PRICE = (
    "Call us",
    "0",
    "-5.00",
    "free",
    "01.02.2024",
    "Size 42",
    "n/a",
    "",
    "{}",
    ".a{color:red}",
    "1e999",
    "\u0664x",
)
_AROUND = ("{}", "{} €", "€ {}", "EUR {}", "ab {} €", "{} - 99999 €", "Sale: {} EUR")


def _written(cents: int, form: str) -> str:
    whole, thousands, mark = f"{cents // 100:,}", form[1] if not form[1].isdigit() else "", form[-3]
    return f"{whole.replace(',', thousands)}{mark}{cents % 100:02}"


def _table(root: Path, flavour: str, rows: list[dict[str, str]]) -> Case:
    """A table of these rows, all of which must be used."""
    if flavour != "parquet":
        return write_lines(root, flavour, [Line(rendered(flavour, row), row["sku"]) for row in rows])
    name = "table.parquet"
    columns = {key: pa.array([row[key] for row in rows], pa.string()) for key in rows[0]}
    pq.write_table(pa.table(columns), root / RAW / name)
    write_photos(root)
    return Case(dataset(root, flavour, name), len(rows), {(name, place): row["sku"] for place, row in enumerate(rows)})


def _rows(changes: list[dict[str, str]]) -> list[dict[str, str]]:
    found = [{key: str(cell) for key, cell in record("jsonl", n).items()} | change for n, change in enumerate(changes)]
    return [row | {"picture": f"B{n % PRODUCTS}.jpg"} for n, row in enumerate(found)]


def _prices(root: Path, plan: Plan) -> Case:
    texts: list[tuple[str, float | None]] = []
    for cents, around in plan["prices"]:
        texts.append((around.format(_written(cents, plan["form"])), cents / 100))
    for place, text in plan["odd"]:
        texts[place] = (text, None)
    case = _table(root, plan["flavour"], _rows([{"cost": text} for text, _ in texts]))
    name = Path(str(case.dataset.files)).name
    case.prices = {(name, row): price for row, (_, price) in enumerate(texts)}
    return case


def _shared_ids(root: Path, plan: Plan) -> Case:
    rows = [{"sku": f"B{owner}", "name": f"Dress {owner}", "cost": "5.00", "maker": "x"} for owner in plan["owners"]]
    conflicts: dict[str, set[str]] = {}
    for place, column in plan["changes"]:
        rows[place][column] = {"name": "Another dress", "cost": "7.50", "maker": "another"}[column]
    for column, meaning in (("name", "title"), ("cost", "price"), ("maker", "brand")):
        for owner in set(plan["owners"]):
            if len({row[column] for row in rows if row["sku"] == f"B{owner}"}) > 1:
                conflicts.setdefault(f"B{owner}", set()).add(meaning)
    case = _table(root, plan["flavour"], _rows(rows))
    case.conflicts = conflicts
    return case


_FLAVOUR = st.sampled_from(("csv", "jsonl", "parquet"))
_PLACES = st.integers(0, PRODUCTS - 1)

CLASSES = [
    FuzzClass(
        "prices",
        st.fixed_dictionaries({
            "flavour": _FLAVOUR, "form": st.sampled_from(FORMS),
            "prices": st.lists(st.tuples(st.integers(1, 9_999_999), st.sampled_from(_AROUND)), min_size=PRODUCTS,
                               max_size=PRODUCTS),
            "odd": st.lists(st.tuples(_PLACES, st.sampled_from(NO_PRICE)), max_size=3),
        }), _prices,
    ),
    FuzzClass(
        "shared id",
        st.fixed_dictionaries({
            "flavour": _FLAVOUR, "owners": st.lists(_PLACES, min_size=2, max_size=2 * PRODUCTS),
            "changes": st.lists(st.tuples(st.integers(0, 1), st.sampled_from(("name", "cost", "maker"))), max_size=4),
        }), _shared_ids,
    ),
]  # fmt: skip
