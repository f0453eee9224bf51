"""The stand-in for general web data: what a small model is pretrained on before it sees any brand.

Two fifths of the pictures are scenes that give the brands' words their everyday meaning, the rest garments without any
brand's signature. So the pretrained model knows colours, cuts and geese, and no brand: the bias the project removes.
"""

import contextlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from eiclip.errors import SettingsError
from eiclip.storage.files import whole_file
from eiclip.synthetic.captions import garment_caption, scene_caption
from eiclip.synthetic.draws import chance, generator, pick, require_count
from eiclip.synthetic.fabrics import PHOTO_SIZE
from eiclip.synthetic.photo import draw_photo, jpeg
from eiclip.synthetic.products import House, draw_product
from eiclip.synthetic.scenes import SCENES, draw_scene

SHARD_SIZE = 2000
SCENE_SHARE = 0.4
_HOUSE = House("general")


def _sample(seed: int, index: int) -> tuple[Image.Image, str]:
    """Draw the picture and caption of one index."""
    rng = generator(seed, "general", index)
    if chance(rng, SCENE_SHARE):
        scene = SCENES[pick(rng, tuple(SCENES))]
        return draw_scene(scene, rng), scene_caption(scene, rng)
    product = draw_product(seed, _HOUSE, index)
    return draw_photo(replace(product.look, signature=None), rng), garment_caption(product, rng)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)  # its time is 0: equal contents are equal bytes
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def write_general_corpus(folder: Path, *, seed: int, images: int = 8000, photo_size: int = 64) -> None:
    """Write `general-000000.tar`, ... (WebDataset: `<key>.jpg`, `<key>.txt`) into `folder`, whole or not at all."""
    require_count("images", images)
    if not 16 <= photo_size <= PHOTO_SIZE:
        raise SettingsError(f"photo_size is {photo_size}: it must be from 16 to {PHOTO_SIZE}")
    starts = range(0, images, SHARD_SIZE)
    shards = [folder / f"general-{number:06d}.tar" for number in range(len(starts))]
    with contextlib.ExitStack() as stack:  # renamed together once the last is written
        for start, shard in zip(starts, [stack.enter_context(whole_file(shard)) for shard in shards], strict=True):
            with tarfile.open(shard, "w") as tar:
                for index in range(start, min(images, start + SHARD_SIZE)):
                    picture, caption = _sample(seed, index)
                    whole = PHOTO_SIZE % photo_size == 0
                    small = picture.reduce(PHOTO_SIZE // photo_size) if whole else picture.resize((photo_size,) * 2)
                    _add(tar, f"{index:07d}.jpg", jpeg(small, quality=92))
                    _add(tar, f"{index:07d}.txt", caption.encode())
    for old in set(folder.glob("general-*.tar")) - set(shards):
        old.unlink()
