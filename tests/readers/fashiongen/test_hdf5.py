import h5py
import numpy as np
import pytest

from eiclip.errors import RawDataError
from eiclip.readers.fashiongen.hdf5 import find_dataset, open_hdf5, read_rows, rows_per_slab


@pytest.fixture
def path(tmp_path):
    return tmp_path / "raw.h5"


def find(path, key="data"):
    with open_hdf5(path) as file:
        return find_dataset(file, key)


def refusal(path):
    with pytest.raises(RawDataError) as caught:
        find(path)
    assert str(path) in str(caught.value)
    assert "'data'" in str(caught.value)
    return str(caught.value)


def test_an_external_link_is_refused(path, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.arange(3)
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/data")
    assert "link to elsewhere" in refusal(path)


def test_a_soft_link_is_refused(path):
    with h5py.File(path, "w") as file:
        file["data"] = h5py.SoftLink("/other")
    assert "link to elsewhere" in refusal(path)


def test_external_storage_is_refused(path, tmp_path):
    (tmp_path / "secret").write_bytes(b"x" * 10)
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (10,), "uint8", external=[(str(tmp_path / "secret"), 0, 10)])
    assert "other files" in refusal(path)


def test_a_virtual_dataset_is_refused(path):
    layout = h5py.VirtualLayout((3,), "int64")
    layout[:] = h5py.VirtualSource("other.h5", "data", (3,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data", layout)
    assert "virtual" in refusal(path)


def test_terabytes_in_kilobytes_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (50_000_000, 256, 256, 3), "uint8", chunks=(1, 256, 256, 3))
    assert path.stat().st_size < 10_000
    assert "declares 9,830,400,000,000 bytes" in refusal(path)


def test_a_giant_chunk_is_refused(path, monkeypatch):
    monkeypatch.setattr("eiclip.readers.fashiongen.hdf5.MAX_CHUNK_BYTES", 1000)
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=np.zeros((40, 200)), chunks=(40, 200), compression="gzip")
    assert "chunks of" in refusal(path)


def test_a_group_is_refused(path):
    with h5py.File(path, "w") as file:
        file.create_group("data")
    assert "is a group" in refusal(path)


def test_an_absent_key_is_none(path):
    with h5py.File(path, "w"):
        pass
    assert find(path) is None


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n"])
def test_another_file_is_an_error(path, content):
    path.write_bytes(content)
    with pytest.raises(RawDataError, match=r"raw\.h5: not a whole HDF5 file"):
        find(path)


def test_a_truncated_file_is_an_error(path):
    with h5py.File(path, "w") as file:
        file["data"] = np.arange(10_000)
    path.write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(RawDataError, match="fetch the file again"):
        find(path)


def test_damage_found_while_reading_names_file_and_rows(path):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (100, 100), "uint8", chunks=(10, 100), compression="gzip")
        data[:] = np.random.default_rng(0).integers(0, 9, (100, 100))
        offset = data.id.get_chunk_info(3).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 50] = b"\xff" * 50
    path.write_bytes(content)
    with open_hdf5(path) as file, pytest.raises(RawDataError, match=r"raw\.h5: 'data' rows 0 to 99 cannot be read"):
        read_rows(find_dataset(file, "data"), 0, 100)


@pytest.mark.parametrize(
    ("chunks", "rows"),
    [(None, 42), ((1, 256, 256, 3), 42), ((8, 256, 256, 3), 40), ((300, 32, 32, 1), 300), ((8141, 8, 8, 1), 1365)],
)
def test_slabs_hold_whole_chunks_within_bounds(path, chunks, rows):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (9000, 256, 256, 3), "uint8", chunks=chunks)
        assert rows_per_slab(data) == rows
