import zlib
from pathlib import Path

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


def external_link(file):
    with h5py.File(f"{file.filename}.secret", "w") as secret:
        secret["data"] = np.arange(3)
    file["data"] = h5py.ExternalLink(f"{file.filename}.secret", "/data")


def soft_link(file):
    file["data"] = h5py.SoftLink("/other")


def external_storage(file):
    secret = Path(f"{file.filename}.secret")
    secret.write_bytes(b"x" * 10)
    file.create_dataset("data", (10,), "uint8", external=[(str(secret), 0, 10)])


def virtual(file):
    layout = h5py.VirtualLayout((3,), "int64")
    layout[:] = h5py.VirtualSource("other.h5", "data", (3,))
    file.create_virtual_dataset("data", layout)


def group(file):
    file.create_group("data")


def terabytes_in_kilobytes(file):
    file.create_dataset("data", (50_000_000, 256, 256, 3), "uint8", chunks=(1, 256, 256, 3))


def giant_chunk(file):
    file.create_dataset("data", data=np.zeros((40, 200)), chunks=(40, 200), compression="gzip")


def tiny_chunks(file):
    file.create_dataset("data", data=np.zeros((40, 200), "uint8"), chunks=(1, 10))


def compressed_twice(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((40, 200))
    plan.set_deflate(9)
    plan.set_deflate(9)
    data = h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple((40, 200)), plan)
    data.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros((40, 200), "uint8"))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (external_link, "link to elsewhere"),
        (soft_link, "link to elsewhere"),
        (external_storage, "other files"),
        (virtual, "virtual"),
        (group, "is a group"),
        (terabytes_in_kilobytes, "declares 9,830,400,000,000 bytes"),
        (giant_chunk, "chunks of 64,000 bytes"),
        (tiny_chunks, "cut into 800 chunks of 10 bytes"),
        (compressed_twice, "compressed more than once"),
    ],
)
def test_what_points_elsewhere_or_would_grow_is_refused(path, build, reason, monkeypatch):
    monkeypatch.setattr("eiclip.readers.fashiongen.hdf5.MAX_CHUNK_BYTES", 63_000 if build is giant_chunk else 2**28)
    with h5py.File(path, "w") as file:
        build(file)
    with pytest.raises(RawDataError, match=f"'data' .*{reason}") as caught:
        find(path)
    assert str(path) in str(caught.value)


def test_a_chunk_that_unpacks_to_more_than_it_declares_is_not_read(path, monkeypatch):
    monkeypatch.setattr("eiclip.readers.fashiongen.hdf5._HARMLESS_STORED", 1000)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (4, 100), "uint8", chunks=(2, 100), compression="gzip")
        data[:2] = 7
        data.id.write_direct_chunk((2, 0), zlib.compress(bytes(10**7)))
    with open_hdf5(path) as file:
        assert (read_rows(find_dataset(file, "data"), 0, 2) == 7).all()
        with pytest.raises(RawDataError, match=r"rows 2 to 3 cannot be read \(the chunk at .* than the 200 bytes"):
            read_rows(find_dataset(file, "data"), 2, 4)


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
