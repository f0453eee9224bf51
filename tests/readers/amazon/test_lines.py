import gzip

import pytest

from eiclip.errors import RawDataError
from eiclip.readers.amazon.lines import count_lines, numbered_lines


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_are_numbered_whatever_the_ends(tmp_path, pack):
    path = tmp_path / "lines"
    path.write_bytes(pack(b"\xef\xbb\xbfa\r\n\nb\nlast"))
    assert list(numbered_lines(path)) == [(1, b"a"), (2, b""), (3, b"b"), (4, b"last")]
    assert count_lines(path) == 4


def test_a_line_over_the_cap_is_skipped_and_the_next_is_whole(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"x" * 50 + b"\n" + b"y" * 10 + b"\n" + b"z" * 11)
    assert list(numbered_lines(path, cap=10)) == [(1, None), (2, b"y" * 10), (3, None)]


def test_an_empty_file_has_no_lines(tmp_path):
    (tmp_path / "lines").write_bytes(b"")
    assert count_lines(tmp_path / "lines") == 0


def test_a_truncated_gzip_names_the_file_and_the_line(tmp_path):
    path = tmp_path / "meta.json.gz"
    whole = gzip.compress(b"".join(b"%d\n" % i for i in range(5000)))
    path.write_bytes(whole[:-20])
    with pytest.raises(RawDataError, match=r"meta\.json\.gz: damaged or cut short after line \d+ .*fetch it again"):
        count_lines(path)


def test_a_damaged_gzip_is_an_error(tmp_path):
    path = tmp_path / "meta.json.gz"
    path.write_bytes(gzip.compress(bytes(range(256)) * 100)[:40] + b"\xff" * 100)
    with pytest.raises(RawDataError, match="damaged"):
        count_lines(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(RawDataError, match="no such file"):
        count_lines(tmp_path / "absent.gz")
