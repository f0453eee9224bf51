"""Damage to lines: Amazon metadata of three editions, and a user's table as JSONL or CSV."""

import gzip
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.case import RAW, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import (
    FLAVOURS,
    PRODUCTS,
    Line,
    dataset,
    good_lines,
    lines_file,
    record,
    rendered,
    write_lines,
    write_photos,
)
from benchmarks.fuzz.hdf5 import FLIPS, FRACTIONS, cut, flip

ANY = st.sampled_from(FLAVOURS)
JSON = st.sampled_from(("amazon2018", "amazon2023", "jsonl"))
LINE = st.integers(0, PRODUCTS - 1)
FIELD = st.integers(0, 6)
_BASE = {"flavour": ANY, "line": LINE, "gz": st.booleans()}


def with_line(root: Path, plan: Plan, content: bytes) -> Case:
    """The plan's flavour with `content` in place of one of its lines."""
    lines = good_lines(plan["flavour"])
    lines[plan["line"]] = Line(content)
    return write_lines(root, plan["flavour"], lines, gz=plan.get("gz", False))


def with_value(root: Path, plan: Plan, value: Any) -> Case:
    """The same, with another value in one field of one line."""
    values = record(plan["flavour"], plan["line"])
    values[field_of(values, plan["field"])] = value
    return with_line(root, plan, rendered(plan["flavour"], values))


def field_of(values: dict[str, Any], number: int) -> str:
    """A field's name by its place, counted round."""
    return list(values)[number % len(values)]


def _good(plan: Plan) -> bytes:
    return good_lines(plan["flavour"])[plan["line"]].content


def _bad_bytes(root: Path, plan: Plan) -> Case:
    content = _good(plan)
    for where, added in plan["added"]:
        place = int(where * len(content))
        content = content[:place] + added + content[place:]
    return with_line(root, plan, content.replace(b"\n", b"\xff"))


_INVALID = st.one_of(
    st.sampled_from(
        (b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80" * 9, b"\x00",
         b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xf0\x9f\x98", b"caf\xe9")
    ),
    st.binary(min_size=1, max_size=6),
)  # fmt: skip


def _broken(root: Path, plan: Plan) -> Case:
    content = _good(plan)
    place = int(plan["where"] * len(content))
    changed = {
        "cut": content[:place],
        "drop": content[:place] + content[place + 1 :],
        "twice": content + content,
        "comma": content[:-1] + b"," + content[-1:],
        "other": plan["text"],
        "insert": content[:place] + plan["text"] + content[place:],
        "split": content[:place] + b"\n" + content[place:],
        "return": content[:place] + b"\r" + content[place:],
        "quotes": content.replace(b'"', b"'"),
    }[plan["how"]]
    return with_line(root, plan, changed)


_SCRAPS = st.sampled_from(
    (b"", b" ", b"[]", b"{}", b"null", b"1", b'"text"', b"[{}]", b"{{}}", b"//", b"#", b'{"asin":', b'{"a":1}{"b":2}',
     b"}", b"{", b'"', b"\\", b"\\u12", b"\\ud800", b"\x1e", b"\t", b",,,,,,", b"{'", b"{'a': 1", b"\x0b\x0c", b"\x85")
)  # fmt: skip


def _numbers(root: Path, plan: Plan) -> Case:
    values = record(plan["flavour"], plan["line"])
    values[field_of(values, plan["field"])] = "@"
    quoted = b"'@'" if plan["flavour"] == "amazon2014" else b"@" if plan["flavour"] == "csv" else b'"@"'
    return with_line(root, plan, rendered(plan["flavour"], values).replace(quoted, plan["number"].encode()))


_NUMBERS = st.one_of(
    st.sampled_from(
        ("NaN", "nan", "Infinity", "-Infinity", "inf", "1e999", "-1e999", "1e-999", "-0", "0x10", "1_000", "9" * 400,
         "9" * 5000, "-" + "9" * 4301, "0." + "1" * 9000, "1e" + "9" * 300, "1E400", "18446744073709551616", ".5", "5.",
         "+5", "1j", "1e308", "5e-324", "00012", "true", "True", "None", "null", "--1")
    ),
    st.floats().map(repr), st.integers().map(str),
)  # fmt: skip


def _twice(root: Path, plan: Plan) -> Case:
    lines = good_lines(plan["flavour"])
    for source, target in plan["pairs"]:
        values = record(plan["flavour"], target)
        key = next(iter(values))
        values[key] = plan["style"].replace("#", f"B{source}")
        lines[target] = Line(rendered(plan["flavour"], values))
    if plan["keys"] and plan["flavour"] != "csv":
        content = lines[plan["line"]].content
        lines[plan["line"]] = Line(b"{" + content[1:-1] + b", " + content[1:-1] + b"}")
    case = write_lines(root, plan["flavour"], lines, gz=plan["gz"])
    taken = {f"B{source}" for source, _ in plan["pairs"]}  # of Amazon's lines with one id the first is used
    case.untouched = {place: product for place, product in case.untouched.items() if product not in taken}
    return case


def _nested(root: Path, plan: Plan) -> Case:
    depth = plan["depth"]
    opened, closed, core = plan["brackets"]
    text = opened * depth + core + (closed * depth if plan["closed"] else "")
    if plan["whole"]:
        return with_line(root, plan, text.encode())
    values = record(plan["flavour"], plan["line"])
    values[field_of(values, plan["field"])] = text if plan["quoted"] else "@"
    content = rendered(plan["flavour"], values)
    return with_line(root, plan, content.replace(b"'@'", b"@").replace(b'"@"', b"@").replace(b"@", text.encode()))


_BRACKETS = st.sampled_from(
    (("[", "]", ""), ('{"a":', "}", "1"), ("{'a':", "}", "1"), ("(", ")", "1"), ("-", "", "1"), ("not ", "", "1"),
     ("[[],", "]", "1"), ("1+", "", "1"), ("b'' ", "", "b''"), ("<b>", "</b>", "x"), ("&amp;", "", "x"), ("{", "}",
     "1"))
)  # fmt: skip


def _long(root: Path, plan: Plan) -> Case:
    values = record(plan["flavour"], plan["line"])
    values[field_of(values, plan["field"])] = plan["filler"] * (plan["bytes"] // len(plan["filler"]))
    content = rendered(plan["flavour"], values)
    return with_line(root, plan, content[: len(content) // 2] if plan["open"] else content)


_FILLERS = st.sampled_from(
    ("x", "a b ", "<a ", "&lt;", "<!--", "<script>", "&#9", "\x00", "\ud800", "\u00e9", "1", " ")
)
_SIZES = st.sampled_from((100, 20_001, 70_000, 2**17 + 1, 2**18, 2**20, 2**22 - 60, 2**22, 2**22 + 1, 6 * 2**20))


def _gzip_damage(root: Path, plan: Plan) -> Case:
    case = write_lines(root, plan["flavour"], good_lines(plan["flavour"]), gz=True)
    path = root / RAW / lines_file(plan["flavour"], gz=True)
    content = path.read_bytes()
    how = plan["how"]
    if how == "cut":
        cut(path, plan["where"])
    elif how == "flip":
        flip(path, plan["flips"])
    elif how == "tail":
        path.write_bytes(content + plan["tail"])
    elif how == "members":
        path.write_bytes(content + gzip.compress(b"") + gzip.compress(b"\n"))
        case.rows = case.rows and case.rows + 1
        return case
    else:  # an endless line, or many blank ones, behind the good ones
        zeros = how == "zeros"
        path.write_bytes(content + (_gzipped_zeros(plan["mebibytes"]) if zeros else gzip.compress(b"\n" * 100_000)))
        case.rows = None if case.rows is None else case.rows + (1 if zeros else 100_000)
        return case
    case.rows, case.untouched = None, {}
    return case


def _gzipped_zeros(mebibytes: int) -> bytes:
    return gzip.compress(bytes(2**20), 9) * mebibytes


def _code(root: Path, plan: Plan) -> Case:
    marker = root / "outside" / "executed"
    code = plan["code"].replace("@", repr(str(marker)))
    values = record("amazon2014", plan["line"])
    values[field_of(values, plan["field"])] = "#"
    content = code if plan["whole"] else rendered("amazon2014", values).decode().replace("'#'", code)
    return with_line(root, plan | {"flavour": "amazon2014"}, content.encode())


_CODE = st.sampled_from(
    ("open(@, 'w')", "__import__('os').system('touch ' + @)", "(lambda: open(@, 'w'))()", "[open(@, 'w') for _ in 'a']",
     "f'{open(@, \"w\")}'", "(x := open(@, 'w'))", "exec('1')", "{'asin': open(@, 'w')}", "{**{'a': 1}}",
        "{open(@, 'w'): 1}",
     "'a' * 10**9", "10**10**10", "2**2**30", "1 if open(@, 'w') else 2", "print", "...", "b'bytes'", "{1, 2}", "set()",
     "1+2j", "'a' 'b'", "'%s' % open(@, 'w')", "''.__class__", "{'a': 1}['a']", "await x", "'\\N{DASH}'", "'\\x'",
     "u'u'",
     "rb'\\x'", "'a'\\", "#", "{'a'", "'''", "__debug__", "-'a'", "+1", "~1", "{[]: 1}", "{{}: 1}", "'\\ud800'",
     "'\\0'")
)  # fmt: skip


def _odd_type(root: Path, plan: Plan) -> Case:
    values = record(plan["flavour"], plan["line"])
    for number, value in plan["values"]:
        values[field_of(values, number)] = value
    if plan["extra"] is not None:
        values |= plan["extra"]
    return with_line(root, plan, json.dumps(values).encode())


_TEXT = st.text(max_size=8)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)), max_leaves=8,
)  # fmt: skip
_EXTRA = st.none() | st.dictionaries(
    st.sampled_from(("asin", "parent_asin", "title", "images", "details", "store", "categories", "main_cat", "")),
    _VALUES,
)


def _characters(root: Path, plan: Plan) -> Case:
    values = record(plan["flavour"], plan["line"])
    for number, added in plan["texts"]:
        key = field_of(values, number)
        values[key] = f"{values[key]}{added}" if plan["appended"] else added
    content = rendered(plan["flavour"], values)
    return with_line(root, plan, content)


_CHARACTERS = st.one_of(
    st.text(st.characters(), max_size=12), st.text(st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Co",
    "Cn"))),
    st.sampled_from(("\u202e", "\u0000", "\ud83d", "\ude00\ud83d", "\u2028", "\x85", "\x1c", "a\u0301" * 50, "\ufffd")),
)  # fmt: skip


def _empty(root: Path, plan: Plan) -> Case:
    name = lines_file(plan["flavour"], gz=plan["gz"])
    content: bytes = plan["content"]
    (root / RAW / name).write_bytes(gzip.compress(content) if plan["gz"] else content)
    write_photos(root)
    return Case(dataset(root, plan["flavour"], name))


def _class(name: str, write: Any, **drawn: Any) -> FuzzClass:
    return FuzzClass(name, st.fixed_dictionaries(_BASE | drawn), write)


_PAIRS = st.lists(st.tuples(LINE, LINE), min_size=1, max_size=4)
_STYLES = st.sampled_from(("#", "#", " # ", "#.", "./#", "#\u200b", "b#"))
_EMPTY = st.sampled_from(
    (b"", b"\n", b"\n\n\n", b"\r\n", b" ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\0", b"{}", b"{}\n", b"sku\n",
    b"\x1f\x8b",
     b"sku,name,about,maker,kind,cost,picture\n", b"sku,name,about,maker,kind,cost,picture", b"PAR1", b"PAR1PAR1",
     b"{'")
)  # fmt: skip
CLASSES = [
    _class("bad UTF-8", _bad_bytes, added=st.lists(st.tuples(FRACTIONS, _INVALID), min_size=1, max_size=4)),
    _class(
        "broken line", _broken, where=FRACTIONS, text=_SCRAPS,
        how=st.sampled_from(("cut", "drop", "twice", "comma", "other", "insert", "split", "return", "quotes")),
    ),
    _class("NaN and huge numbers", _numbers, field=FIELD, number=_NUMBERS),
    _class("duplicate ids and keys", _twice, pairs=_PAIRS, style=_STYLES, keys=st.booleans()),
    _class(
        "deep nesting", _nested, brackets=_BRACKETS, depth=st.sampled_from((10, 99, 101, 900, 3000, 60_000, 1_000_000)),
        field=FIELD, closed=st.booleans(), whole=st.booleans(), quoted=st.booleans(),
    ),
    _class("huge line", _long, field=FIELD, filler=_FILLERS, bytes=_SIZES, open=st.booleans()),
    _class(
        "damaged gzip", _gzip_damage, how=st.sampled_from(("cut", "flip", "tail", "members", "zeros", "blanks")),
        where=FRACTIONS, flips=FLIPS, tail=st.binary(min_size=1, max_size=20), mebibytes=st.sampled_from((1, 200)),
    ),
    _class("code in literals", _code, code=_CODE, field=FIELD, whole=st.booleans()),
    _class(
        "odd values", _odd_type, flavour=JSON, values=st.lists(st.tuples(FIELD, _VALUES), min_size=1, max_size=3),
        extra=_EXTRA,
    ),
    _class(
        "odd characters", _characters, texts=st.lists(st.tuples(FIELD, _CHARACTERS), min_size=1, max_size=3),
        appended=st.booleans(),
    ),
    _class("empty file", _empty, content=_EMPTY),
]  # fmt: skip
