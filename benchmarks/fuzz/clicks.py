"""Click logs as programs write them: each whole line must come out as it was put in, and each other one be rejected."""

import gzip
from pathlib import Path

from hypothesis import strategies as st

from benchmarks.fuzz.case import RAW, Case, FuzzClass, Plan
from benchmarks.fuzz.datasets import good_lines, write_lines
from eiclip.settings.same_style import LogColumns, SameStyleSettings

_NAME = "clicks.csv"
_WORDS = {
    "utf-8": ("hermès", "плащ", "外套", "𝒜", "plain"),
    "cp1252": ("hermès", "crème", "été", "œuvre", "plain"),
    "gb18030": ("外套", "红裙", "大衣", "plain"),
}
_BROKEN = (b'v,"open@', b"v@more@than@there@are@cells@x", b"v@\xff\x81\x00", b"@lone", b"lone@", b'"v"x@y', b"v")


def _log(root: Path, plan: Plan) -> Case:
    case = write_lines(root, "jsonl", good_lines("jsonl"))
    mark, end, encoding = plan["delimiter"], plan["end"], plan["encoding"]
    lines, clicks = [], {}
    for row, (number, broken) in enumerate(plan["lines"]):
        words = _WORDS[encoding]
        if broken is not None:
            lines.append(broken.replace(b"@", mark))
            continue
        click = (f"{words[number % len(words)]} {row}", f"{words[-1 - number % len(words)]} {number}")
        texts = [f'"{text}"' if plan["quoted"] else text for text in click]
        lines.append(mark.join(text.encode(encoding) for text in texts) + mark * plan["trailing"])
        clicks[row] = click
    header = mark.join((b"session", b"item"))
    content = end.join([*plan["top"], header, *lines]) + end * plan["ends"]
    path = root / RAW / _NAME
    path.write_bytes(gzip.compress(content, 1) if plan["gz"] else content)
    columns = LogColumns(time="", encoding=encoding)
    dataset = case.dataset.model_copy(update={"same_style": SameStyleSettings(log=str(path), columns=columns)})
    return Case(dataset, case.rows, case.untouched, clicks=clicks, log_rows=len(lines))


CLASSES = [
    FuzzClass(
        "click log",
        st.fixed_dictionaries({
            "lines": st.lists(st.tuples(st.integers(0, 99), st.none() | st.sampled_from(_BROKEN)), max_size=12),
            "end": st.sampled_from((b"\n", b"\r\n", b"\r")), "delimiter": st.sampled_from((b",", b";", b"\t", b"|")),
            "encoding": st.sampled_from(tuple(_WORDS)), "quoted": st.booleans(), "trailing": st.integers(0, 2),
            "top": st.sampled_from(((), (b"sep=,",), (b"Export of May", b""), (b"\xef\xbb\xbfClicks",))),
            "ends": st.integers(0, 2), "gz": st.booleans(),
        }), _log,
    ),
]  # fmt: skip
