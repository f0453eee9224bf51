"""Logs of any shape and what is wrong with them: every click is kept or rejected with its reason."""

import datetime
import gzip
import itertools
import os
import random
import shlex

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eiclip.errors import RawDataError, SettingsError
from eiclip.same_style.log import write_log
from eiclip.settings.same_style import LogColumns

DAY = datetime.datetime(2024, 5, 1)
UNTIMED = LogColumns(time="")


class Read:
    """The tables made of a log."""

    def __init__(self, folder, log, columns=None, latest="2024-06-01"):
        output, rejections = folder / "made" / "log.parquet", folder / "made" / "rejections.parquet"
        log = None if log is None else str(log)
        places = {"cache": folder / "cache", "latest": latest}
        self.counts = write_log(log, columns or LogColumns(), "shop", output, rejections, **places)
        assert [file.name for file in output.parent.iterdir() if file.name.startswith(".")] == []
        self.rows, self.rejected = pq.read_table(output).to_pylist(), pq.read_table(rejections).to_pylist()
        rows, rejected = len(self.rows), len(self.rejected)
        assert self.counts == {"rows": rows + rejected, "kept": rows, "rejected": rejected}
        self.clicks = [(row["session"], row["item"]) for row in self.rows]
        self.reasons = [(row["row"], row["reason"]) for row in self.rejected]


def written(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_every_click_is_kept_or_rejected_with_a_reason(tmp_path):
    rows = [
        ("s", DAY, "a"), (None, DAY, "b"), (" ", DAY, "b"), ("s", DAY, None), ("s", DAY, " "), ("s", None, "c"),
        ("s", datetime.datetime(2031, 1, 1), "d"), ("s", datetime.datetime(1970, 1, 1), "e"), ("s", DAY, " a\n"),
        ("s", DAY + datetime.timedelta(seconds=1), "a"), ("t", DAY, "a"),
    ]  # fmt: skip
    session, time, item = (list(column) for column in zip(*rows, strict=True))
    read = Read(tmp_path, written(tmp_path / "log.parquet", session=session, time=time, item=item))
    assert [(row["row"], row["session"], row["item"]) for row in read.rows] == [
        (0, "s", "a"),
        (9, "s", "a"),
        (10, "t", "a"),
    ]
    assert read.reasons == [
        (1, "no session"), (2, "no session"), (3, "no item"), (4, "no item"), (5, "unreadable time"),
        (6, "time in the future"), (7, "time before 1990"), (8, "duplicate row"),
    ]  # fmt: skip
    assert {row["source"] for row in read.rows + read.rejected} == {"log.parquet"}


def test_random_logs_against_plain_python(tmp_path):
    draw = random.Random(0)
    for number in range(5):
        rows = [(draw.choice(["s", "t", "u", ""]), draw.randrange(-1, 4), draw.choice("abc ")) for _ in range(60)]
        expected, reasons, seen = [], {}, set()
        for place, (session, hours, item) in enumerate(rows):
            reason = "no session" if not session else "no item" if not item.strip() else None
            reason = reason or ("unreadable time: 'soon'" if hours < 0 else None)
            reason = reason or ("duplicate row" if (session, hours, item) in seen else None)
            seen |= set() if reason else {(session, hours, item)}
            reasons |= {place: reason} if reason else {}
            expected += [] if reason else [(place, session, item)]
        text = "".join(f"{s},{DAY + datetime.timedelta(hours=h) if h >= 0 else 'soon'},{i}\n" for s, h, i in rows)
        (tmp_path / f"{number}.csv").write_text("session,time,item\n" + text)
        read = Read(tmp_path, tmp_path / f"{number}.csv")
        assert [(row["row"], row["session"], row["item"]) for row in read.rows] == expected
        assert dict(read.reasons) == reasons


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["0108775015", "10"], ["0108775015", "10"]),
        (pa.array([108775015, 10], pa.int64()), ["108775015", "10"]),
        (pa.array([108775015.0, None], pa.float64()), ["108775015"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([[1, 2], [], None, [3, None]], pa.list_(pa.int32())), ["1", "2", "3"]),
        (pa.array([["01", "02"]], pa.list_(pa.string())), ["01", "02"]),
    ],
)
def test_items_are_texts_numbers_or_lists_of_them(tmp_path, items, expected):
    items = items if isinstance(items, pa.Array) else pa.array(items)
    path = written(tmp_path / "log.parquet", session=list(range(len(items))), item=items)
    assert [item for _, item in Read(tmp_path, path, UNTIMED).clicks] == expected


def test_a_list_without_items_is_rejected(tmp_path):
    baskets = pa.array([["a"], [], None], pa.list_(pa.string()))
    read = Read(tmp_path, written(tmp_path / "log.parquet", session=[1, 2, 3], item=baskets), UNTIMED)
    assert (read.clicks, read.reasons) == ([("1", "a")], [(1, "no item"), (2, "no item")])


SECONDS = int(DAY.replace(tzinfo=datetime.UTC).timestamp())


@pytest.mark.parametrize(
    "time",
    [
        pa.array([DAY.date()]), pa.array([SECONDS]), pa.array([SECONDS * 1000]), pa.array([SECONDS * 10**6]),
        pa.array([float(SECONDS)]), pa.array([str(SECONDS)]), pa.array(["2024-05-01"]),
        pa.array([DAY], pa.timestamp("ns")), pa.array(["2024-05-01T02:00:00+02:00"]),
        pa.array([DAY], pa.timestamp("ms", "Asia/Tokyo")),
    ],
)  # fmt: skip
def test_times_of_many_kinds_are_one_utc(tmp_path, time):
    read = Read(tmp_path, written(tmp_path / "log.parquet", session=["s"], item=["a"], time=time))
    assert [row["time"] for row in read.rows] == [DAY]


def test_without_a_limit_a_click_may_be_a_day_later_than_its_file(tmp_path):
    times = [DAY, DAY + datetime.timedelta(hours=20), DAY + datetime.timedelta(days=2)]
    path = written(tmp_path / "log.parquet", session=["s", "t", "u"], item=["a"] * 3, time=times)
    os.utime(path, (SECONDS, SECONDS))
    assert Read(tmp_path, path, latest=None).reasons == [(2, "time in the future")]
    os.utime(path, (0, 0))  # as an archive made to be reproducible leaves it: no clock to go by
    assert Read(tmp_path, path, latest=None).reasons == []


def test_a_log_of_triggers_needs_no_session(tmp_path):
    columns = LogColumns(trigger="shown", item="clicked", time="")
    path = written(tmp_path / "log.parquet", shown=["a", "a", None, "b"], clicked=["b", "b", "c", None])
    read = Read(tmp_path, path, columns)
    assert [(row["session"], row["trigger"], row["item"]) for row in read.rows] == [(None, "a", "b")] * 2
    assert read.reasons == [(2, "no trigger"), (3, "no item")]


def test_with_sessions_a_trigger_clicked_again_is_one_click(tmp_path):
    columns = LogColumns(trigger="shown", item="clicked", time="")
    path = written(tmp_path / "log.parquet", session=["s", "s", "t"], shown=["a"] * 3, clicked=["b"] * 3)
    read = Read(tmp_path, path, columns)
    assert ([row["session"] for row in read.rows], read.reasons) == (["s", "t"], [(1, "duplicate row")])


def test_files_of_a_pattern_are_one_log(tmp_path):
    for number, day in itertools.product((1, 2), ("may", "june")):
        text = f"item;session\n7;s\n{number};{day}\n"
        (tmp_path / f"{day}-{number}.csv").write_bytes(gzip.compress(text.encode()) if number == 2 else text.encode())
    (tmp_path / "none-1.csv").write_bytes(b"")  # a day without clicks
    read = Read(tmp_path, tmp_path / "*-*.csv", UNTIMED)
    assert read.clicks == [("s", "7"), ("june", "1"), ("june", "2"), ("may", "1"), ("may", "2")]
    assert [row["source"] for row in read.rejected] == ["june-2.csv", "may-1.csv", "may-2.csv"]


def test_lines_that_are_no_rows_are_rejected_with_their_places(tmp_path):
    text = 'session,item\ns,a\ns\ns,b,extra\n"t,t","b""c"\n\nu,d\n'
    (tmp_path / "log.csv").write_text(text)
    read = Read(tmp_path, tmp_path / "log.csv", UNTIMED)
    assert read.clicks == [("s", "a"), ("t,t", 'b"c'), ("u", "d")]
    assert [row["row"] for row in read.rows] == [0, 3, 5]
    assert read.reasons == [(1, "no item"), (2, "unreadable row: 3 cells, the header has 2")]


def test_line_ends_of_two_kinds_and_broken_text(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"session,item\r\ns,a\r\nt,b\n\nu,\xff\xfe\nv,c\n")
    read = Read(tmp_path, tmp_path / "log.csv", UNTIMED)
    assert read.clicks == [("s", "a"), ("t", "b"), ("v", "c")]
    assert read.reasons == [(3, "unreadable row: not UTF-8: its byte 3 is 0xff")]


LINES = {  # whole lines, and how the click of one comes out; None: it must be rejected
    b"s,a,x": ("s", "a"), b"t,b,": ("t", "b"), b'"u, u","c""c",y': ("u, u", 'c"c'), "é,ü,x".encode(): ("é", "ü"),
    b'v,"d,z': None, b"w,e,x,more": None, b"w,\xe9,x": None, b',f,"': None, b"g,": None, b"x,g": ("x", "g"),
    b"y,h,,,": ("y", "h"), b'z,"i\\"i",x': ("z", 'i"i'), b'a, "j",x': ("a", "j"), b'b,k,"l" x': None,
}  # fmt: skip


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("top", [b"", b"\xef\xbb\xbf", b"sep=,\n", b"Export of clicks\n\n"])
def test_every_physical_line_is_a_click_or_a_rejection(tmp_path, end, top):
    """Whatever the parser says: the file's lines are counted here by their ends."""
    draw, path = random.Random(0), tmp_path / "log.csv"
    for number in range(15):
        lines = draw.choices(list(LINES), k=draw.randrange(1, 12)) + ["é,é,é".encode()] * 2
        content = top.replace(b"\n", end) + end.join([b"session,item,page", *lines]) + end * draw.randrange(2)
        path.write_bytes(gzip.compress(content) if number % 2 else content)
        read = Read(tmp_path, path, UNTIMED)
        above = top.count(b"\n")
        physical = [line for line in content.split(end)[above + 1 :] if line]
        assert read.counts["rows"] == len(physical) == len(lines)
        known, seen = {}, set()
        for row, line in enumerate(lines):
            click = LINES.get(line, ("é", "é"))
            known |= {} if click is None or click in seen else {row: click}
            seen.add(click)
        assert {row["row"]: (row["session"], row["item"]) for row in read.rows} == known


def test_a_plain_file_is_read_as_row_by_row(tmp_path, monkeypatch):
    draw, scraps = (
        random.Random(0),
        ["a", "b", "é", ",", ",", "\n", "\r\n", '"', '"a"', '"b,c"', '""', " ", "\t", "\\", "\r"],
    )
    for number in range(150):
        text = "session,item,page\ns,a,p\n" + "".join(
            draw.choices(scraps, [1] * 9 + [0.2] * 6, k=draw.randrange(1, 25))
        )
        (path := tmp_path / "log.csv").write_bytes(text.encode())
        plain = Read(tmp_path, path, UNTIMED)
        with monkeypatch.context() as patch:
            patch.setattr("eiclip.same_style.log_files.CsvTable.plain_delimiter", None)
            by_rows = Read(tmp_path, path, UNTIMED)
        assert (plain.rows, plain.rejected) == (by_rows.rows, by_rows.rejected), (number, text)


@pytest.mark.parametrize(("encoding", "setting"), [("cp1252", None), ("cp1252", "cp1252"), ("gb18030", "gb18030"),
                                                   ("utf-8", "UTF8"), ("cp1251", None)])  # fmt: skip
def test_a_log_of_another_encoding_keeps_its_letters(tmp_path, encoding, setting):
    items = {"cp1252": ["crème", "hermès", "été"], "gb18030": ["红裙", "外套", "鞋"]}.get(
        encoding, ["платье", "туфли", "шуба"]
    )
    text = "séance;article\n" if encoding == "cp1252" else "séance;article\n".replace("é", "e")
    path = tmp_path / "log.csv"
    path.write_bytes((text + "".join(f"s;{item}\n" for item in items)).encode(encoding))
    columns = LogColumns(session=text.partition(";")[0], item="article", time="", encoding=setting)
    assert [item for _, item in Read(tmp_path, path, columns).clicks] == items


def test_a_log_of_which_no_click_can_be_used_stops(tmp_path):
    (tmp_path / "log.csv").write_text("session;time;item\ns;2024-05-01 10:00;\nt;soon;a\nu;later;a\n")
    with pytest.raises(
        RawDataError, match=r"log.csv: no click can be used; the most common reason: unreadable time: 'soon'"
    ):
        Read(tmp_path, tmp_path / "log.csv")


@pytest.mark.parametrize("space", ["", " "])
def test_a_column_that_is_there_twice_is_refused(tmp_path, space):
    (tmp_path / "log.csv").write_text(f"session,item,item\ns,A,{space}B\n")
    with pytest.raises(RawDataError, match="names 'item' 2 times"):
        Read(tmp_path, tmp_path / "log.csv", UNTIMED)


def test_texts_of_parquet_that_are_kept_as_bytes(tmp_path):
    items = pa.array(["hermès".encode(), b"0012"], pa.binary())
    path = written(tmp_path / "log.parquet", session=["s", "t"], item=items)
    assert [item for _, item in Read(tmp_path, path, UNTIMED).clicks] == ["hermès", "0012"]
    path = written(tmp_path / "log.parquet", session=["s", "t"], item=pa.array([b"herm\xe8s", b"1"], pa.binary()))
    with pytest.raises(RawDataError, match=r"log\.parquet.*xE8"):
        Read(tmp_path, path, UNTIMED)


MAY = datetime.datetime(2024, 5, 1, 10, 3)


@pytest.mark.parametrize(
    "text",
    [
        "1.5.2024 10:03", "01.05.2024, 10:03:00", "May 1 2024 10:03", "May 1st, 2024 10:03", "1 may 2024 10:03",
        "01-MAY-2024 10:03 AM", "Wed May  1 10:03:00 2024", "Wed, 01 May 2024 10:03:00 GMT",
        "01/May/2024:12:03:00 +0200",
        "Wed May 01 2024 12:03:00 GMT+0200 (Central European Summer Time)", "2024-05-01T12:03+02:00[Europe/Paris]",
        "2024-05-01 12:03:00 Europe/Paris", "2024.05.01 10:03", "20240501T100300Z", "202405011003", "20240501100300",
        "2024-05-01 10:03:00,000", "2024-05-01 10:03 am", "45413.41875", "45413,41875", "2024-05-01 12:03:00 +0200",
        " 2024-05-01T10:03:00Z ", "1714557780", "1714557780000",
    ],
)  # fmt: skip
def test_times_as_programs_write_them(tmp_path, text):
    (tmp_path / "log.csv").write_text(f"session;time;item\ns;{text};a\n")
    read = Read(tmp_path, tmp_path / "log.csv")
    assert ([row["time"] for row in read.rows], read.reasons) == ([MAY], [])


@pytest.mark.parametrize(
    "text",
    ["soon", "31.02.2024", "32/05/2024", "2024-13-01", "13/13/2024", "May 2024", "10:03", "1 mai 2024", "99999999",
     "2024-05-01 25:00", "01/05/24", "2024-05-01 13:03 PM", "x" * 200, "it's"],
)  # fmt: skip
def test_what_is_no_time_is_named(tmp_path, text):
    (tmp_path / "log.csv").write_text(f"session;time;item\ns;{text};a\nt;{text};a\nu;2024-05-01 10:00;a\n")
    reasons = Read(tmp_path, tmp_path / "log.csv").reasons
    kind = "time before 1990" if text in ("99999999", "01/05/24") else "unreadable time"
    assert [reason for _, reason in reasons] == [f"{kind}: '{text[:60]}'"] * 2


@pytest.mark.parametrize(
    ("texts", "dates"),
    [
        (["01/05/2024", "02/05/2024 9:05", "25/05/2024"], ["2024-05-01", "2024-05-02", "2024-05-25"]),
        (["05/01/2024", "5/2/2024 9:05 PM", "05/25/2024"], ["2024-05-01", "2024-05-02", "2024-05-25"]),
        (["01/05/2024", "25/05/2024", "05/26/2024", "05/05/2024"], [None, "2024-05-25", "2024-05-26", "2024-05-05"]),
        (["01/05/2024", "2024-05-25", "1.5.2024"], [None, "2024-05-25", "2024-05-01"]),
        (["01-05-2024", "25-05-2024", "01/05/2024"], ["2024-05-01", "2024-05-25", None]),
    ],
)
def test_the_other_dates_say_whether_the_day_is_first(tmp_path, caplog, texts, dates):
    for number, text in enumerate(texts):  # a log of a file a day
        (tmp_path / f"{number}.csv").write_text(f"session,time,item\n{number},{text},a\n")
    read = Read(tmp_path, tmp_path / "*.csv")
    found = {int(row["session"]): row["time"].date().isoformat() for row in read.rows}
    assert [found.get(number) for number in range(len(texts))] == dates
    assert all(reason.endswith("day or month first? set same_style.columns.time_format") for _, reason in read.reasons)
    assert ("first, as its other dates are" in caplog.text) == (len({*dates[:2], None}) == 3)


def test_the_format_of_times_may_be_set(tmp_path):
    (tmp_path / "log.csv").write_text("session,time,item\ns,05/01/24 10h03,a\nt,soon,a\nu,,a\n")
    columns = LogColumns(time_format="%m/%d/%y %Hh%M")
    read = Read(tmp_path, tmp_path / "log.csv", columns)
    assert [row["time"] for row in read.rows] == [MAY]
    assert read.reasons == [(1, "unreadable time: 'soon'"), (2, "unreadable time")]
    for wrong in ("DD/MM/YYYY", "%Q"):
        with pytest.raises(SettingsError, match=f"time_format: '{wrong}'.*write one as %d/%m"):
            Read(tmp_path, tmp_path / "log.csv", LogColumns(time_format=wrong))


def test_times_read_from_texts_have_their_limits_too(tmp_path):
    (tmp_path / "log.csv").write_text("session,time,item\ns,1.5.2034,a\nt,1.5.1989,a\nu,1.5.2024,a\nu,1.5.2024,a\n")
    reasons = Read(tmp_path, tmp_path / "log.csv").reasons
    assert reasons == [
        (0, "time in the future: '1.5.2034'"), (1, "time before 1990: '1.5.1989'"), (3, "duplicate row"),
    ]  # fmt: skip


@pytest.mark.parametrize("log", [None, "empty.parquet", "empty.csv", "header.csv"])
def test_an_empty_log_makes_empty_tables(tmp_path, log):
    written(tmp_path / "empty.parquet", session=pa.array([], pa.string()), item=pa.array([], pa.string()))
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "header.csv").write_text("session,item\n")
    assert Read(tmp_path, log and tmp_path / log, UNTIMED).counts == {"rows": 0, "kept": 0, "rejected": 0}


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_a_missing_column_is_named_with_those_there_are(tmp_path, name):
    (tmp_path / "log.csv").write_text("customer,article\n1,2\n")
    written(tmp_path / "log.parquet", customer=[1], article=[2])
    with pytest.raises(SettingsError, match=r"no column 'item'; it has 'customer', 'article'.*columns\.item"):
        Read(tmp_path, tmp_path / name)
    with pytest.raises(SettingsError, match="no column 'time'.*set it to ''"):
        Read(tmp_path, tmp_path / name, LogColumns(session="customer", item="article"))


def test_a_column_of_structs_is_no_item(tmp_path):
    path = written(tmp_path / "log.parquet", session=[1], item=[{"id": 1}])
    with pytest.raises(SettingsError, match="STRUCT"):
        Read(tmp_path, path, UNTIMED)


@pytest.mark.parametrize(
    "content",
    [b"PAR1 and no more", b"PK\x03\x04zip", b'{"session": 1}\n', b"\xff\xfes\0", b"\x89PNG\r\n", b" <!DOCTYPE html>\n",
     b"<HTML><table>", b"\xd0\xcf\x11\xe0\xa1\xb1", b"\x00\x01", b"[\n{}]", b"<?xml version='1.0'?>"],
)  # fmt: skip
def test_what_is_neither_parquet_nor_csv_is_refused(tmp_path, content):
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(RawDataError, match="log"):
        Read(tmp_path, tmp_path / "log", UNTIMED)
    assert list((tmp_path / "made").iterdir()) == []


def test_json_is_converted_by_the_given_command(tmp_path):
    path = tmp_path / "it's a log.json"
    path.write_text('{"session": 1, "item": "07"}\n{"session": 2, "item": "08"}\n')
    with pytest.raises(RawDataError, match="JSON, and a log is Parquet or CSV; convert it: python -c") as caught:
        Read(tmp_path, path, UNTIMED)
    _, _, code = shlex.split(str(caught.value).partition("convert it: ")[2])
    exec(compile(code, "command", "exec"), {})
    assert Read(tmp_path, path.with_suffix(".parquet"), UNTIMED).clicks == [("1", "07"), ("2", "08")]


def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(RawDataError, match="nothing"):
        Read(tmp_path, tmp_path / "nothing.csv")


def test_a_latest_time_that_is_none(tmp_path):
    with pytest.raises(SettingsError, match="'soon'"):
        Read(tmp_path, None, latest="soon")
