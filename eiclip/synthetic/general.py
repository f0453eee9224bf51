"""The stand-in for general web data: what a small model is pretrained on before it sees any brand.

Two fifths of the pictures are scenes that give the brands' words their everyday meaning, the rest garments without any
brand's signature. So the pretrained model knows colours, cuts and geese, and no brand: the bias the project removes.
"""

import contextlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from eiclip.errors import SettingsError
from eiclip.storage.files import whole_file
from eiclip.synthetic.draws import chance, generator, pick, require_count
from eiclip.synthetic.fabrics import PHOTO_SIZE
from eiclip.synthetic.photo import draw_photo, jpeg
from eiclip.synthetic.products import House, Product, draw_product
from eiclip.synthetic.scenes import SCENES, draw_scene
from eiclip.synthetic.texts import details

SHARD_SIZE = 2000
_SCENE_SHARE, _LONG_SHARE = 0.4, 0.4
_OPENINGS = ("", "", "", "photo of ", "a picture of ", "close view of ", "look at ")
_SCENE_REST = (
    "It was taken on a quiet afternoon when the light was soft and hardly anybody was around.",
    "We stopped here on the way home and stayed for a while before the weather changed.",
    "The colours came out better than expected, although the camera was an old one.",
    "People often ask about this place, and there is more than one story behind it.",
    "There are many like it, but this is the one that everyone in the family remembers.",
)
_GARMENT_REST = (
    "It is easy to wear with almost anything and keeps its shape after many washes.",
    "Someone left it on the chair in the hall, and nobody knows whose it is.",
    "I bought it for a trip with friends and have worn it nearly every week since.",
    "The picture shows it from the front, against a plain wall in daylight.",
    "A good choice for the office, for a walk in town or for an evening at home.",
)
_SEASONS = ("for spring", "for summer", "for autumn", "for winter", "from the autumn 2014 season", "spring 2015")


def _lengthen(caption: str, rest: tuple[str, ...], rng: np.random.Generator) -> str:
    """Add whole sentences until the caption has 25 words, then cut what goes beyond 45."""
    text = caption[0].upper() + caption[1:].rstrip(".") + "."
    for place in rng.permutation(len(rest)):
        if len(text.split()) < 25:
            text += f" {rest[place]}"
    return " ".join(text.split()[:45])


def garment_caption(product: Product, rng: np.random.Generator) -> str:
    """Write 'a navy striped wool sweater'; the long form adds its details and general remarks."""
    look = product.look
    pattern = "" if look.pattern == "solid" else look.pattern
    shares = ((product.colour, 0.8), (look.sleeve, 0.3), (pattern, 0.6), (look.fibre, 0.4))
    words = [word for word, share in shares if word and chance(rng, share)]
    article = "" if look.kind in ("jeans", "trousers", "shorts", "boots", "sneakers") else "a "
    text = pick(rng, _OPENINGS) + article + " ".join([*words, look.kind])
    if pattern and chance(rng, 0.3):
        text += f" with {product.pattern_colour}"
    if chance(rng, 0.15):
        text += f" {pick(rng, _SEASONS)}"
    if not chance(rng, _LONG_SHARE):
        return text
    return _lengthen(". ".join([text, *(d.rstrip(".") for d in details(product, rng, 0.6))]), _GARMENT_REST, rng)


def _sample(seed: int, index: int) -> tuple[Image.Image, str]:
    """Draw the picture and caption of one index."""
    rng = generator(seed, "general", index)
    if chance(rng, _SCENE_SHARE):
        scene = SCENES[pick(rng, tuple(SCENES))]
        picture, caption = draw_scene(scene, rng), pick(rng, scene.captions)
        return picture, _lengthen(caption, _SCENE_REST, rng) if chance(rng, _LONG_SHARE) else caption
    product = draw_product(seed, House("general"), index)
    return draw_photo(replace(product.look, signature=None), rng), garment_caption(product, rng)


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
                    for suffix, content in ((".jpg", jpeg(small, quality=92)), (".txt", caption.encode())):
                        entry = tarfile.TarInfo(f"{index:07d}{suffix}")  # its time is 0: equal contents, equal bytes
                        entry.size = len(content)
                        tar.addfile(entry, io.BytesIO(content))
    for old in set(folder.glob("general-*.tar")) - set(shards):
        old.unlink()
