"""The log of clicks: off unless asked for, appended to in whole lines, and read by same_style and by judged queries."""

import csv
import datetime
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pyarrow.parquet as pq
import pytest

from eiclip.errors import SettingsError
from eiclip.readers.queries import read_query_file
from eiclip.same_style.log import write_log
from eiclip.settings.queries import QuerySettings
from eiclip.settings.same_style import LogColumns
from eiclip.web.app import create_app
from eiclip.web.clicks import HEADER, ClickLog
from eiclip.web.engines import Engines
from tests.web.conftest import served

SESSIONS = ("0123456789abcdef", "fedcba9876543210")
PLACE = "/api/click/shop/eiclip"


@pytest.fixture
def recording(shop_home, tmp_path):
    """A client of a server that records, and its file."""
    file = tmp_path / "made" / "clicks.csv"
    with (
        served(create_app(Engines(shop_home), log=ClickLog(file))) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield client, file


def click(client, product_id="p1", action="open", session=SESSIONS[0], rank=1, **more):
    return client.post(
        PLACE, json={"session": session, "product_id": product_id, "action": action, "rank": rank} | more
    )


def lines(file):
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_same_style_reads_what_was_clicked_and_not_what_did_not_fit(recording, tmp_path):
    client, file = recording
    done = [
        (SESSIONS[0], "p1", "open"), (SESSIONS[0], "a/b?c=d&e #1%2f", "like"), (SESSIONS[0], "p2", "down"),
        (SESSIONS[1], "../../etc/passwd", "up"), (SESSIONS[1], "p1", "photo"),
    ]  # fmt: skip
    for session, product, action in done:
        assert click(client, product, action, session, query="black boots").json() == {"recorded": True}
    output, rejections = tmp_path / "log.parquet", tmp_path / "rejections.parquet"
    write_log(str(file), LogColumns(), "shop", output, rejections, tmp_path / "cache", None)
    read = [(row["session"], row["item"]) for row in pq.read_table(output).to_pylist()]
    assert sorted(read) == sorted((session, product) for session, product, action in done if action != "down")
    assert [row["reason"] for row in pq.read_table(rejections).to_pylist()] == ["no item"]
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    times = pq.read_table(output)["time"].to_pylist()
    assert all(abs((now - time.replace(tzinfo=None)).total_seconds()) < 3600 for time in times)


def test_judged_queries_read_it_as_a_search_log(recording):
    client, file = recording
    click(client, "p1", query="black boots")
    click(client, "p2", "like", query="Black Boots")
    click(client, "p3", "down", query="black boots")
    found = read_query_file(file, QuerySettings(file=file, log=True, columns={"product_id": "item"}))
    assert sorted(row["product_id"] for row in found.rows.to_pylist()) == ["p1", "p2"]
    assert len(set(found.rows["query"].to_pylist())) == 1


def test_lines_are_whole_whatever_is_in_them_and_whoever_writes(recording):
    client, file = recording
    odd = ['say "boots", ', "two\nlines\r\n", "=cmd|' /C calc'!A0", "日本\u2028語\0", "x" * 5000, ""]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: click(client, rank=n + 1, query=odd[n % len(odd)]), range(48)))
    assert {answer.status_code for answer in answers} == {200}
    rows = lines(file)
    assert sorted(int(row["rank"]) for row in rows) == list(range(1, 49))
    assert len(file.read_bytes().splitlines()) == 49
    assert max(len(row["query"]) for row in rows) == 2000
    assert set(rows[0]) == set(HEADER)
    assert "127.0.0.1" not in file.read_text(encoding="utf-8")
    ClickLog(file)  # opened again by a server that was restarted
    assert lines(file) == rows
    file.rename(file.with_suffix(".old"))
    click(client, rank=7)
    assert [row["rank"] for row in lines(file)] == ["7"]


def test_what_is_wrong_is_refused_and_leaves_no_line(recording, tmp_path):
    client, file = recording
    for status, said, answer in (
        (400, "it was removed", click(client, "p99")),
        (422, "session", click(client, session="me@shop.example")),
        (422, "action", click(client, action="buy")),
        (422, "rank", click(client, rank=0)),
        (422, "address", click(client, address="x")),
        (422, "", client.post(PLACE, content=b"{", headers={"content-type": "application/json"})),
        (404, "no dataset", client.post("/api/click/nowhere/eiclip", json=json.loads(_form()))),
        (403, "another site", client.post(PLACE, content=_form(), headers={"sec-fetch-site": "cross-site"})),
        (413, "10 MB", client.post(PLACE, content=b"x" * 11 * 2**20)),
    ):
        assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text
    assert lines(file) == []
    file.unlink()
    file.mkdir()
    gone = click(client)
    assert (gone.status_code, str(tmp_path) in gone.text) == (503, False)


def _form():
    return json.dumps({"session": SESSIONS[0], "product_id": "p1", "action": "open", "rank": 1})


def test_nothing_is_recorded_unless_it_is_asked_for(site, recording):
    answer = httpx.post(f"{site}{PLACE}", json=json.loads(_form()))
    assert (answer.status_code, "not recorded" in answer.json()["error"]) == (404, True)
    assert httpx.get(f"{site}/api/catalogues").json()["records_clicks"] is False
    assert recording[0].get("/api/catalogues").json()["records_clicks"] is True


def test_a_file_that_is_something_else_is_left_alone(tmp_path):
    other = tmp_path / "orders.csv"
    other.write_text("order,total\n1,2\n")
    with pytest.raises(SettingsError, match=r"orders\.csv: no log of clicks"):
        ClickLog(other)
    assert other.read_text() == "order,total\n1,2\n"
    cut = tmp_path / "cut.csv"
    cut.write_text(",".join(HEADER) + "\nabc,p1,20")  # the disk was full
    ClickLog(cut)
    assert cut.read_text().endswith("abc,p1,20\n")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".lock"] == []
