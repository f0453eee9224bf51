"""Texts, names and pixels as programs and people write them: each must come out as it was put in."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from benchmarks.fuzz.case import RAW, Case, FuzzClass, Place, Plan
from benchmarks.fuzz.datasets import PRODUCTS, Line, dataset, record, rendered, write_lines, write_photos

ENCODINGS = {
    "utf-8": ("éüñßøžłşıжшαωב中文日本", b"\xff"), "cp1252": ("éèêçüñßøÀÖ", b"\x81"), "cp1251": ("жшюяйЖШЫ", b"\x98"),
    "cp1250": ("žłşčřĆŽ", b"\x83"), "gb18030": ("中文裙子红色", b"\xff"), "cp932": ("日本カタ服", b"\xfd"),
    "cp1253": ("αωσΔΘ", b"\xff"), "big5": ("中文裙紅", b"\xff"),
}  # fmt: skip
"""Of an encoding, letters that it has, and a byte that no text in it has."""
NOTHING = ("NULL", "n/a", "#N/A", "(null)", r"\N", "None", "no brand", "-", "{{product.vendor}}", "${brand}", " nan ")
NAMES = ("Levi's", "H&M", "Étoile Bleue", "J.Crew", "Rag & Bone", "Palm Angels")
WAYS = (
    str, str.upper, str.lower, lambda name: f"{name}™", lambda name: f"{name} (R)", lambda name: name.replace("'", "’"),
    lambda name: name.replace("É", "E"), lambda name: name.replace("&", " & "), lambda name: name.replace(" ", "  "),
    lambda name: name.replace(" & ", " and "), lambda name: name.replace(" ", "-"),
)  # fmt: skip
"""Ways to write one name."""
_ROWS = st.integers(0, PRODUCTS - 1)


def _titles(name: str, titles: Iterable[str | None]) -> dict[Place, str]:
    return {(name, place): title for place, title in enumerate(titles) if title is not None}


def _encoded(root: Path, plan: Plan) -> Case:
    encoding, flavour = plan["encoding"], plan["flavour"]
    letters, odd = ENCODINGS[encoding]
    lines, titles = list[Line](), list[str | None]()
    for number, picks in enumerate(plan["letters"]):
        title = "".join(letters[pick % len(letters)] for pick in picks) + f" {number}"
        text = rendered("csv", record("csv", number) | {"name": title, "about": "A dress."}).decode()
        if flavour == "jsonl":
            text = f'{{"sku": "B{number}", "name": "{title}", "about": "A dress.", "maker": "x", "kind": "dresses", '
            text += f'"cost": 9.99, "picture": "B{number}.jpg"}}'
        content, is_odd = text.encode(encoding), number in plan["odd"]
        lines.append(Line(content.replace(b"A dress", b"A " + odd) if is_odd else content, f"B{number}"))
        titles.append(None if is_odd else title)
    case = write_lines(root, flavour, lines)
    name = Path(str(case.dataset.files)).name
    case.untouched = {place: own for place, own in case.untouched.items() if titles[place[1]] is not None}
    case.titles = _titles(name, titles)
    case.dataset = case.dataset.model_copy(update={"encoding": encoding})
    return case


def _of_programs(root: Path, plan: Plan) -> Case:
    """Every cell quoted where it has to be, in one program's way."""
    mark, end, escaped = plan["mark"], plan["end"], plan["escape"]

    def cell(value: object) -> str:
        text = str(value)
        if not any(odd in text for odd in (mark, '"')):
            return text
        return '"' + text.replace('"', '\\"' if escaped else '""') + '"'

    keys = list(record("csv", 0))
    titles = [f'{title} {number}"' if escaped else f"{title} {number}" for number, title in enumerate(plan["titles"])]
    rows = [record("csv", number) | {"name": title} for number, title in enumerate(titles)]
    lines = [*plan["above"], mark.join(keys)]
    if lines[0] == "sep=":
        lines[0] += mark
    lines += [mark.join(map(cell, row.values())) + mark * plan["trailing"] for row in rows]
    content = end.join(lines) + (end if plan["ended"] else "")
    (root / RAW / "table.csv").write_bytes((b"\xef\xbb\xbf" if plan["mark_of_utf8"] else b"") + content.encode())
    write_photos(root)
    untouched = {("table.csv", number): f"B{number}" for number in range(PRODUCTS)}
    case = Case(dataset(root, "csv", "table.csv"), PRODUCTS, untouched)
    case.titles = _titles("table.csv", (" ".join(title.split()) for title in titles))
    return case


def _open_quote(root: Path, plan: Plan) -> Case:
    lines = [rendered("csv", record("csv", number)) for number in range(PRODUCTS)]
    for number in plan["open"]:
        lines[number] = lines[number].replace(b"Blue", b'"Blue')
    case = write_lines(root, "csv", [Line(line, f"B{number}") for number, line in enumerate(lines)])
    kept = [None if number in plan["open"] else f"Blue dress {number}" for number in range(PRODUCTS)]
    case.rows, case.titles = PRODUCTS, _titles("table.csv", kept)
    case.untouched = {place: own for place, own in case.untouched.items() if kept[place[1]] is not None}
    return case


def _with_brands(root: Path, flavour: str, brands: list[str], titles: list[str]) -> Case:
    rows = [record("jsonl", n) | {"maker": brand, "name": titles[n]} for n, brand in enumerate(brands)]
    lines = [Line(rendered(flavour, row), str(row["sku"])) for row in rows]
    return write_lines(root, flavour, lines)


def _placeholders(root: Path, plan: Plan) -> Case:
    brands = [text or f"Acme {number}" for number, text in enumerate(plan["brands"])]
    titles = [text or f"Dress {number}" for number, text in enumerate(plan["titles"])]
    case = _with_brands(root, plan["flavour"], brands, titles)
    names = ["" if text else f"Dress {number}" for number, text in enumerate(plan["titles"])]
    case.titles = _titles(Path(str(case.dataset.files)).name, names)
    case.spellings = {b.strip().lower(): "" if plan["brands"][n] else b.lower() for n, b in enumerate(brands)}
    return case


def _spellings(root: Path, plan: Plan) -> Case:
    picked = [(NAMES[name], WAYS[way](NAMES[name])) for name, way in plan["written"]]
    case = _with_brands(root, plan["flavour"], [text for _, text in picked], [f"Dress {n}" for n in range(PRODUCTS)])
    case.same_name = {}
    for name, text in picked:
        case.same_name[" ".join(text.lower().split())] = name
    return case


def _photo(kind: str, level: int) -> tuple[bytes, int]:
    """A photo of two levels of brightness, and the mean that it must have in eight bits."""
    ramp = np.full((16, 16), level, np.uint8)
    ramp[::2] = 255 - level // 2
    grey, stream = Image.fromarray(ramp), io.BytesIO()
    if kind == "16 bits":
        Image.fromarray(ramp.astype(np.uint16) * 257).save(stream, "PNG")
    elif kind == "cut out":  # what is transparent is white
        alpha = np.zeros((16, 16), np.uint8)
        alpha[:, :8] = 255
        ramp = np.where(alpha > 0, ramp, 255)
        Image.merge("LA", (grey, Image.fromarray(alpha))).save(stream, "PNG")
    elif kind == "CMYK":
        grey.convert("RGB").convert("CMYK").save(stream, "JPEG", quality=100)
    else:
        grey.convert(kind).save(stream, "PNG")
    return stream.getvalue(), round(float(ramp.mean()))


def _pixels(root: Path, plan: Plan) -> Case:
    case = write_lines(
        root, "csv", [Line(rendered("csv", record("csv", n)), f"B{n}") for n in range(PRODUCTS)]
    )  # fmt: skip
    for number, (kind, level) in enumerate(plan["photos"]):
        content, mean = _photo(kind, level)
        (root / RAW / "images" / f"B{number}.jpg").write_bytes(content)
        case.brightness[("table.csv", number)] = mean
    return case


_FLAVOUR = st.sampled_from(("csv", "jsonl"))
_OPTIONAL = st.lists(st.one_of(st.none(), st.sampled_from(NOTHING)), min_size=PRODUCTS, max_size=PRODUCTS)
_TITLE = st.text(st.sampled_from("abc é,;|'\t\""), min_size=1, max_size=8).map(lambda text: f"x{text}x")

CLASSES = [
    FuzzClass(
        "encodings",
        st.fixed_dictionaries({
            "encoding": st.sampled_from(sorted(ENCODINGS)), "flavour": _FLAVOUR, "odd": st.sets(_ROWS, max_size=2),
            "letters": st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=9), min_size=PRODUCTS,
                                max_size=PRODUCTS),
        }), _encoded,
    ),
    FuzzClass(
        "CSV of other programs",
        st.fixed_dictionaries({
            "mark": st.sampled_from(",;\t|"), "end": st.sampled_from(("\n", "\r\n", "\r")), "escape": st.booleans(),
            "trailing": st.integers(0, 2), "ended": st.booleans(), "mark_of_utf8": st.booleans(),
            "above": st.sampled_from(((), ("sep=",), ("Export of 2026",), ("Our shop", "", "Products"))),
            "titles": st.lists(_TITLE, min_size=PRODUCTS, max_size=PRODUCTS),
        }), _of_programs,
    ),
    FuzzClass(
        "open quote",
        st.fixed_dictionaries({"open": st.sets(_ROWS, min_size=1, max_size=3)}), _open_quote,
    ),
    FuzzClass(
        "placeholders",
        st.fixed_dictionaries({"flavour": _FLAVOUR, "brands": _OPTIONAL, "titles": _OPTIONAL}), _placeholders,
    ),
    FuzzClass(
        "spellings",
        st.fixed_dictionaries({
            "flavour": _FLAVOUR,
            "written": st.lists(st.tuples(st.integers(0, len(NAMES) - 1), st.integers(0, len(WAYS) - 1)),
                                min_size=PRODUCTS, max_size=PRODUCTS),
        }), _spellings,
    ),
    FuzzClass(
        "pixels of other kinds",
        st.fixed_dictionaries({
            "photos": st.lists(st.tuples(
                st.sampled_from(("16 bits", "cut out", "CMYK", "L", "P", "RGBA", "RGB")), st.integers(0, 160),
            ), min_size=PRODUCTS, max_size=PRODUCTS),
        }), _pixels,
    ),
]  # fmt: skip
