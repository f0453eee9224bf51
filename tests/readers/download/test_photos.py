import email.utils
import gzip
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from eiclip.readers.download import fetch
from eiclip.readers.download import photos as download
from eiclip.readers.download.photos import FAILURES_NAME, download_photos
from eiclip.settings.load import DownloadSettings

from ..bad_server import drip, endless, fails_first, hang_up, photo, redirect, slow, stall, status
from ..conftest import encoded
from ..test_photo_files import bomb

JPEG = encoded()


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.001)


@pytest.fixture
def get(tmp_path):
    """Return a function that downloads 'a' from URLs, or a list of (stem, URLs), and returns the reasons."""

    def run(*urls, wanted=None, **settings):
        wanted = [("a", urls)] if wanted is None else wanted
        settings = {"allow_private": True, "timeout": 5.0, "retries": 2} | settings
        return download_photos(wanted, tmp_path / "photos", DownloadSettings(**settings))

    run.folder = tmp_path / "photos"
    run.names = lambda: sorted(f.name for f in run.folder.iterdir() if f.name != FAILURES_NAME)
    return run


def test_a_photo_arrives_byte_for_byte(server, get):
    assert get(server.on("/a.jpg", photo(JPEG))) == {}
    assert (get.folder / "a.jpg").read_bytes() == JPEG
    assert get.names() == ["a.jpg"]


@pytest.mark.parametrize(
    ("format", "name"), [("JPEG", "a.jpg"), ("PNG", "a.png"), ("WEBP", "a.webp"), ("MPO", "a.jpg")]
)
def test_the_extension_follows_the_content(server, get, format, name):
    assert get(server.on("/a.gif", photo(encoded(format), Content_Type="image/gif"))) == {}
    assert get.names() == [name]


FINAL = {  # what no second try mends: behaviour, reason
    "not found": (status(404), "HTTP 404 from {url}"),
    "forbidden": (status(403), "HTTP 403 from {url}"),
    "gone": (status(410), "HTTP 410 from {url}"),
    "no content": (status(204), "HTTP 204 from {url}"),
    "HTML": (
        photo(b"\n<!DOCTYPE html><html>sorry</html>", Content_Type="image/jpeg"),
        "HTML in place of a photo: {url}",
    ),
    "text": (photo(b"not a photo"), "unreadable photo: {url} is not a JPEG, PNG or WEBP"),
    "another format": (photo(encoded("GIF")), "unreadable photo: {url} is not a JPEG, PNG or WEBP"),
    "half a photo": (photo(JPEG[:500]), "unreadable photo: {url}: "),
    "empty": (photo(b""), "empty body: {url}"),
    "bomb": (photo(bomb(60_000, 60_000)), "photo too large: {url} has over 50,000,000 pixels"),
    "endless": (endless, "over 50,000 bytes: {url}"),
    "declared huge": (photo(b"x", Content_Length=10**12, close=True), "over 50,000 bytes: {url}"),
    "declares less": (photo(JPEG, Content_Length=300, close=True), "unreadable photo: {url}: "),
    "gzipped": (photo(gzip.compress(JPEG), Content_Encoding="gzip"), "content encoding 'gzip', not asked for: {url}"),
    "to itself": (redirect("/x"), "redirect loop: {url}"),
    "redirect to a file": (redirect("file:///etc/passwd"), "not an http(s) URL: file://"),
    "redirect to data": (redirect("data:image/png;base64,AAAA"), "bad URL or redirect: {url}"),
    "redirect to nowhere": (status(302), "HTTP 302 from {url}"),
    "bad redirect": (redirect("http://[::"), "bad URL or redirect: {url}"),
}


@pytest.mark.parametrize(("behave", "reason"), FINAL.values(), ids=FINAL)
def test_what_no_second_try_mends_is_asked_for_once_and_never_again(server, get, behave, reason):
    url = server.on("/x", behave)
    reasons = get(url, max_bytes=50_000)
    assert reasons["a"].startswith("photo not downloaded: " + reason.format(url=url))
    assert get(url, max_bytes=50_000) == reasons
    assert server.count() == {"/x": 1}
    assert get.names() == []


PASSING = {  # what may pass: behaviour, reason
    "server error": (status(500), "HTTP 500 from {url}"),
    "busy": (status(429, Retry_After="0"), "HTTP 429 from {url}"),
    "drip": (drip, "not done within 0.2 s: {url}"),
    "stall": (stall, "not done within 0.2 s: {url}"),
    "hang up": (hang_up, "connection failed: {url} ("),
    "truncated": (photo(JPEG[:500], Content_Length=len(JPEG), close=True), "connection failed: {url} ("),
    "no HTTP": (lambda handler, nth: handler.wfile.write(b"SMTP hello\r\n\r\n"), "connection failed: {url} ("),
}


def patience(behave):
    return 0.2 if behave in (drip, stall) else 5.0


@pytest.mark.parametrize(("behave", "reason"), PASSING.values(), ids=PASSING)
def test_what_may_pass_is_tried_again_then_and_in_the_next_run(server, get, behave, reason):
    url = server.on("/x", behave)
    reasons = get(url, timeout=patience(behave), retries=1)
    assert reasons["a"].startswith("photo not downloaded: " + reason.format(url=url))
    assert server.count() == {"/x": 2}
    assert get.names() == []
    server.on("/x", photo(JPEG))
    assert get(url) == {}
    assert get.names() == ["a.jpg"]


@pytest.mark.parametrize("behave", [behave for behave, _ in PASSING.values()], ids=PASSING)
def test_what_passes_gives_the_photo_in_the_same_run(server, get, behave):
    url = server.on("/x", fails_first(2, behave, photo(JPEG)))
    assert get(url, timeout=patience(behave), retries=9) == {}
    assert server.count()["/x"] >= 3  # more where this machine is so busy that a good answer came late
    assert (get.folder / "a.jpg").read_bytes() == JPEG


def test_a_body_cut_off_without_a_declared_length_is_asked_for_in_the_next_run(server, get):
    url = server.on("/x", fails_first(1, photo(JPEG[:500], Content_Length=None, close=True), photo(JPEG)))
    assert "unreadable photo" in get(url)["a"]
    assert get(url) == {}


def test_nobody_listening_is_a_failed_connection(server, get):
    url = server.url("/x")
    server.server.socket.close()
    assert get(url)["a"].startswith(f"photo not downloaded: connection failed: {url}")


def test_a_server_is_left_alone_as_long_as_it_asks(server, get):
    url = server.on("/x", fails_first(1, status(429, Retry_After="1"), photo(JPEG)))
    start = time.monotonic()
    assert get(url) == {}
    assert time.monotonic() - start >= 1


@pytest.fixture
def waits(monkeypatch):
    """The seconds that are waited between tries, which take no time."""
    found = []

    async def sleep(seconds):
        found.extend([seconds] if seconds else [])

    monkeypatch.setattr(download.asyncio, "sleep", sleep)
    monkeypatch.setattr(download.random, "uniform", lambda low, high: 1.0)
    return found


def test_a_wait_may_be_asked_for_as_a_date(server, get, waits):
    value = email.utils.formatdate(time.time() + 50, usegmt=True)
    get(server.on("/x", status(429, Retry_After=value)), retries=1)
    assert 40 < waits[0] <= 50


@pytest.mark.parametrize(
    "value", ["1000000", "99999999999999999999", "-5", "soon", "Fri, 31 Dec 9999 23:59:59 GMT", ""]
)
def test_a_server_cannot_ask_for_ever(server, get, monkeypatch, value):
    monkeypatch.setattr(download, "MAX_RETRY_AFTER_SECONDS", 0.01)
    assert get(server.on("/x", fails_first(1, status(503, Retry_After=value), photo(JPEG)))) == {}


def test_the_wait_doubles_and_ends(server, get, waits, monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.5)
    get(server.on("/x", status(500)), retries=8)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_redirects_are_followed_but_not_for_ever(server, get):
    for hop in range(9):
        server.on(f"/{hop}", redirect(f"/{hop + 1}", code=(301, 302, 303, 307, 308)[hop % 5]))
    server.on("/9", photo(JPEG))
    assert get(server.url("/0"))["a"].startswith("photo not downloaded: over 5 redirects: ")
    assert len(server.requests) == 6
    assert get(server.url("/4")) == {}


def test_a_loop_over_two_pages_ends(server, get):
    server.on("/y", redirect("/x"))
    assert get(server.on("/x", redirect("/y")))["a"] == f"photo not downloaded: redirect loop: {server.url('/x')}"
    assert server.count() == {"/x": 1, "/y": 1}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST.", "2130706433", "0x7f.1", "127.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_private_addresses_are_not_asked_however_they_are_written(server, get, host):
    server.on("/x", photo(JPEG))
    reasons = get(server.url("/x", host), allow_private=False)
    assert "private address" in reasons["a"] or "connection failed" in reasons["a"]  # where the form is unknown here
    assert host not in {"127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"} or "no public address" in reasons["a"]
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    ["ftp://shop.example/a.jpg", "file:///etc/passwd", "/etc/passwd", "a.jpg", "", "http://", "http:///x", "http://[::",
     "http://a:99999/", "http://a:0/", "http://a\n/", "data:image/png;base64,AA==", "javascript:x",
     "http://" + "a" * 99_999, "http://a/" + "?@" * 50_000, "@" * 99_999],
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_a_reason(get, url):
    reason = get(url)["a"]
    assert reason.startswith("photo not downloaded: ")
    assert len(reason) < 300
    assert reason.isprintable()


@pytest.mark.parametrize(
    "url", ["http://a..b/x", f"http://{'a' * 70}.invalid/x", "http://nowhere.invalid/x", "http://%/"]
)
def test_a_name_that_no_server_has_is_a_failed_connection(get, url):
    assert get(url)["a"].startswith(("photo not downloaded: connection failed", "photo not downloaded: bad URL"))


def test_secrets_of_a_url_are_neither_told_nor_kept(server, get):
    server.on("/x?token=SECRET", status(404))
    url = server.url("/x?token=SECRET").replace("//", "//me:SECRET@")
    bad = ("http://me:SEC/RET@h/x", "http://me:SECRET?x@h", "ftp://me:SECRET@h/", "me:SECRET@h/x.jpg")
    reasons = get(wanted=[(f"a{i}", (one,)) for i, one in enumerate((url, *bad))])
    assert reasons["a0"] == f"photo not downloaded: HTTP 404 from {server.url('/x')}?..."
    assert len(reasons) == 5
    told = " ".join(reasons.values()) + (get.folder / FAILURES_NAME).read_text()
    assert "SEC" not in told
    assert "RET@" not in told


def test_a_long_url_is_cut():
    assert len(fetch.shown("http://shop.example/" + "a" * 500)) == 200


@pytest.mark.parametrize("stem", ["../a", "a/b", "/etc/x", ".hidden", "", "a\0", "a b", "-a", "é", "x" * 129, "a\n"])
def test_a_stem_that_could_lead_elsewhere_is_refused(server, get, stem):
    reasons = get(wanted=[(stem, (server.on("/x", photo(JPEG)),))])
    assert reasons[stem].endswith("cannot be a file name")
    assert server.requests == []
    assert get.names() == []


@pytest.mark.parametrize("stem", ["B001", "a.b", "a_b-1", "x" * 128])
def test_usual_stems_are_taken(server, get, stem):
    assert get(wanted=[(stem, (server.on("/x", photo(JPEG)),))]) == {}
    assert get.names() == [f"{stem}.jpg"]


def test_no_url_is_a_reason(get):
    assert get() == {"a": "photo not downloaded: no URL"}


def test_the_next_url_is_used_when_one_fails(server, get):
    bad, busy, good = (server.on("/1", status(404)), server.on("/2", status(500)), server.on("/3", photo(JPEG)))
    assert get(bad, busy, good) == {}
    assert server.count() == {"/1": 1, "/2": 3, "/3": 1}


def test_where_all_urls_fail_the_one_that_may_pass_is_told_and_asked_again(server, get):
    bad, busy = server.on("/1", status(404)), server.on("/2", status(500))
    expected = {"a": f"photo not downloaded: HTTP 500 from {busy} (and 1 more URLs)"}
    assert get(bad, busy, retries=0) == expected
    assert get(bad, busy, retries=0) == expected
    assert server.count() == {"/1": 2, "/2": 2}


def test_held_photos_are_not_asked_for(server, get):
    get.folder.mkdir()
    for name in ("a.jpeg", "b.PNG", "c.webp"):
        (get.folder / name).write_bytes(b"held")
    assert get(wanted=[(stem, (server.on("/x", photo(JPEG)),)) for stem in "abc"]) == {}
    assert server.requests == []


def test_new_urls_or_another_limit_are_asked_though_the_old_failed(server, get):
    large, other = server.on("/1", photo(JPEG)), server.on("/2", status(404))
    assert "over 100 bytes" in get(large, max_bytes=100)["a"]
    assert "HTTP 404" in get(other, max_bytes=100)["a"]
    assert get(large) == {}


def test_a_damaged_record_of_failures_costs_a_request_and_nothing_more(server, get):
    url = server.on("/x", status(404))
    first = get(url)
    good = (get.folder / FAILURES_NAME).read_text()
    (get.folder / FAILURES_NAME).write_bytes(b'\xff\n[1]\n{"stem": 1}\n{"stem\n' + good.encode())
    assert get(url) == first
    (get.folder / FAILURES_NAME).write_bytes(b"\0" * 9)
    assert get(url) == first
    assert server.count() == {"/x": 2}
    assert [json.loads(line)["stem"] for line in (get.folder / FAILURES_NAME).read_text().splitlines()] == ["a"]


def test_of_a_stem_that_comes_twice_the_first_counts(server, get):
    wanted = [("a", (server.on("/1", slow(0.05, photo(JPEG))),)), ("a", (server.on("/2", photo(JPEG)),))]
    assert get(wanted=wanted) == {}
    assert server.count() == {"/1": 1}


def test_no_more_requests_than_allowed_at_once_and_no_more_taken_than_needed(server, get):
    taken = []
    ahead = []
    for i in range(30):
        server.on(f"/{i}", slow(0.02, photo(encoded(seed=i))))

    def wanted():
        for i in range(30):
            taken.append(i)
            ahead.append(len(taken) - len(list(get.folder.glob("*.jpg"))))
            yield (f"p{i}", (server.url(f"/{i}"),))

    assert get(wanted=wanted(), concurrency=4) == {}
    assert 2 <= server.peak <= 4
    assert max(ahead) <= 4 + 1
    assert len(get.names()) == 30


def test_one_slow_server_does_not_hold_up_the_others(server, get):
    wanted = [("slow", (server.on("/slow", drip),))]
    wanted += [(f"p{i}", (server.on(f"/{i}", photo(JPEG)),)) for i in range(20)]
    reasons = get(wanted=wanted, concurrency=2, timeout=1.0, retries=1)
    assert set(reasons) == {"slow"}
    assert len(get.names()) == 20


def test_neither_proxies_nor_cookies_nor_other_names_are_used(server, get, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server.on("/1", photo(JPEG, Set_Cookie="id=1; Path=/"))
    server.on("/2", redirect("/1"))
    wanted = [("a", (server.url("/1"),)), ("b", (server.url("/2"),))]
    assert get(wanted=wanted, concurrency=1) == {}
    assert all("Cookie" not in headers for headers in server.headers)
    assert {headers["User-Agent"] for headers in server.headers} == {"eiclip"}


def test_what_the_list_of_photos_raises_comes_through(server, get):
    def wanted():
        yield ("a", (server.on("/x", status(404)),))
        raise ZeroDivisionError("the list")

    with pytest.raises(ZeroDivisionError, match="the list"):
        get(wanted=wanted(), concurrency=1)
    assert '"stem": "a"' in (get.folder / FAILURES_NAME).read_text()


PROGRAM = """
import sys
from pathlib import Path
from eiclip.readers.download.photos import download_photos
from eiclip.settings.load import DownloadSettings
wanted = [(f"p{i}", (f"{sys.argv[1]}/{i}",)) for i in range(30)]
download_photos(wanted, Path(sys.argv[2]), DownloadSettings(allow_private=True, concurrency=2))
"""


def test_a_killed_run_leaves_whole_photos_and_the_next_goes_on(server, get):
    for i in range(30):
        server.on(f"/{i}", slow(0.05, photo(JPEG)))
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, server.url(""), str(get.folder)])
    while len(list(get.folder.glob("*.jpg"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    held = {file.name: file.read_bytes() for file in get.folder.glob("*.jpg")}
    assert 5 <= len(held) < 30
    assert set(held.values()) == {JPEG}
    assert get(wanted=[(f"p{i}", (server.url(f"/{i}"),)) for i in range(30)]) == {}
    assert len(list(get.folder.glob("*.jpg"))) == 30
    assert all(server.count()[f"/{name[1:-4]}"] == 1 for name in held)
