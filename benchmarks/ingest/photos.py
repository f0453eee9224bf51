"""HDF5 to shards on two processes, against encoding the same photos from memory; and the memory it takes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import simplejpeg

from benchmarks.ingest.raw import fashiongen_file, repeated_file
from benchmarks.measure import GIB, Work, interleaved, line, median, run_apart, say
from eiclip.readers.fashiongen.reader import FashionGenReader
from eiclip.readers.photos import PhotoRow, write_photos
from eiclip.shards import JPEG_QUALITY, Sample, encode_photos, write_shards

SIZE = 256
PROCESSES = 2
PART = 1000
"""Photos of a part."""
DESCRIPTION = "Slim fit shirt of cotton twill in white. Spread collar. Button closure at front. Tonal stitching."
ENTITIES = {"brand": ["a brand"], "subcategory": ["shirts"], "season": ["summer"]}


def shard_parts(folder: str, output: str, parts: list[tuple[int, int]]) -> Work:
    """Ours: the shard step of one part after the other, as the assets run it."""
    reader = FashionGenReader(Path(folder))
    name = fashiongen_file(Path(folder)).name

    def samples(begin: int, end: int) -> Iterator[tuple[str, Sample]]:
        refs = [f"{name}#{row}" for row in range(begin, end)]
        for ref, jpeg in zip(refs, encode_photos(reader, refs, SIZE), strict=True):
            row = ref.rpartition("#")[2]
            yield "train", Sample(f"{row}_0", row, DESCRIPTION, ENTITIES, jpeg)

    def work() -> None:
        for begin, end in parts:
            write_shards(samples(begin, end), Path(output) / f"{begin}", photo_size=SIZE)

    return work


def encode_parts(folder: str, output: str, parts: list[tuple[int, int]]) -> Work:
    """The bare limit: the same photos, in memory already, are encoded, and the bytes written and synced."""
    with h5py.File(fashiongen_file(Path(folder))) as file:
        photos = [file["input_image"][begin:end] for begin, end in parts]

    def work() -> None:
        for (begin, _), part in zip(parts, photos, strict=True):
            with (Path(output) / f"{begin}.bytes").open("wb") as stream:
                for pixels in part:
                    stream.write(
                        simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444")
                    )
                stream.flush()
                os.fsync(stream.fileno())

    return work


def examine_parts(folder: str, output: str, parts: list[tuple[int, int]]) -> Work:
    """Ours: the table `photos`, part by part."""
    reader = FashionGenReader(Path(folder))
    name = fashiongen_file(Path(folder)).name

    def work() -> None:
        for begin, end in parts:
            rows = [PhotoRow(name, row, f"{name}#{row}") for row in range(begin, end)]
            write_photos(rows, reader, "benchmark", Path(output) / f"{begin}.parquet", {})

    return work


def shared_out(folder: Path, output: Path) -> list[tuple[str, str, list[tuple[int, int]]]]:
    """The file's parts, dealt to the processes."""
    with h5py.File(fashiongen_file(folder)) as file:
        count = file["input_image"].shape[0]
    part = min(PART, -(-count // PROCESSES))
    parts = [(begin, min(begin + part, count)) for begin in range(0, count, part)]
    return [(str(folder), str(output), parts[process::PROCESSES]) for process in range(PROCESSES)]


def measure(work: Path, photos: int, rounds: int) -> None:
    """Print the figures of photos; `photos` is the number of products (about four fifths are in the file used)."""
    small, output = work / "fashiongen", work / "shards"
    source = fashiongen_file(small, photos)
    _emptied(output)
    given = shared_out(small, output)
    count = sum(end - begin for _, _, parts in given for begin, end in parts)
    runs = interleaved({"ours": (shard_parts, given), "peer": (encode_parts, given)}, rounds)
    rates = {name: count / median([run.wall for run in found]) for name, found in runs.items()}
    cpu = {name: count / median([run.cpu for run in found]) for name, found in runs.items()}
    note = f"photos/s of {count:,} photos of 256 x 256; per CPU second {cpu['ours']:.0f} and {cpu['peer']:.0f}"
    say(line("HDF5 to shards, 2 processes", rates["ours"], rates["peer"], 0.8, at_most=False, note=note))
    large = repeated_file(source, work / "fashiongen_large", 4)
    for name, task in (("shards", shard_parts), ("examined photos", examine_parts)):
        _emptied(output)
        peaks = [run_apart(task, shared_out(folder, output)).peak / GIB for folder in (small, large)]
        _emptied(output)
        note = "GiB of the larger process; peer: 1 GiB"
        say(line(f"peak memory of {name}, file of 4 times the size", peaks[1], 1.0, 1.0, at_most=True, note=note))
        note = "GiB; peer: the file of a quarter of the size"
        say(line(f"growth of that with the file ({name})", peaks[1], peaks[0], 1.1, at_most=True, note=note))


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
