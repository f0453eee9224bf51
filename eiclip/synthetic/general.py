"""Writes the stand-in for general web data: what a small model is pretrained on before it ever sees a brand.

Two fifths of the pictures are scenes that give the brands' words their everyday meaning, the rest garments without any
brand's signature. So the pretrained model knows colours, cuts and geese, and no brand: the bias the project removes.
"""

import contextlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from eiclip.errors import SettingsError
from eiclip.storage.files import whole_file
from eiclip.synthetic.captions import garment_caption, scene_caption
from eiclip.synthetic.draws import chance, generator, pick, require_count
from eiclip.synthetic.fabrics import PHOTO_SIZE
from eiclip.synthetic.photo import draw_photo
from eiclip.synthetic.products import House, draw_product
from eiclip.synthetic.scenes import SCENES, draw_scene

SHARD_SIZE = 2000
SCENE_SHARE = 0.4
_HOUSE = House("general")


def _sample(seed: int, index: int) -> tuple[Image.Image, str]:
    """The picture and caption of one index."""
    rng = generator(seed, "general", index)
    if chance(rng, SCENE_SHARE):
        scene = SCENES[pick(rng, tuple(SCENES))]
        return draw_scene(scene, rng), scene_caption(scene, rng)
    product = draw_product(seed, _HOUSE, index)
    return draw_photo(replace(product.look, signature=None), rng), garment_caption(product, rng)


def _jpeg(image: Image.Image, side: int) -> bytes:
    small = image.reduce(PHOTO_SIZE // side) if PHOTO_SIZE % side == 0 else image.resize((side, side))
    return simplejpeg.encode_jpeg(np.ascontiguousarray(np.asarray(small)), quality=92, colorsubsampling="444")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)  # its time is 0: equal contents are equal bytes
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


@contextlib.contextmanager
def _shards(folder: Path, count: int) -> Iterator[list[Path]]:
    """Temporary paths of all shards, renamed together once the last is written; older shards beyond them go."""
    with contextlib.ExitStack() as stack:
        names = [f"general-{shard:06d}.tar" for shard in range(count)]
        yield [stack.enter_context(whole_file(folder / name)) for name in names]
    for old in folder.glob("general-*.tar"):
        if old.name not in names:
            old.unlink()


def write_general_corpus(folder: Path, *, seed: int, images: int = 8000, photo_size: int = 64) -> None:
    """Write `general-000000.tar`, ... (WebDataset: `<key>.jpg`, `<key>.txt`) into `folder`, whole or not at all."""
    require_count("images", images)
    if not 16 <= photo_size <= PHOTO_SIZE:
        raise SettingsError(f"photo_size is {photo_size}: it must be from 16 to {PHOTO_SIZE}")
    with _shards(folder, -(-images // SHARD_SIZE)) as shards:
        for number, shard in enumerate(shards):
            with tarfile.open(shard, "w") as tar:
                for index in range(number * SHARD_SIZE, min(images, (number + 1) * SHARD_SIZE)):
                    picture, caption = _sample(seed, index)
                    _add(tar, f"{index:07d}.jpg", _jpeg(picture, photo_size))
                    _add(tar, f"{index:07d}.txt", caption.encode())
