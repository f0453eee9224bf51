"""Row 1's recalls with photos made square in each way, as lines of JSON: what `EICLIP_PHOTOS` is worth.

    python -m benchmarks.preprocessing fashiongen      # after `make ingest` and the towers, below EICLIP_HOME
    python -m benchmarks.preprocessing shop --split validation --variant clip_description

A line a way: `own` is that of the towers, `pad` the whole photo on white; test photos and texts, all candidates.
Without a variant the towers are those that every row starts from, so that this is row 1.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eiclip.evaluation.embed import embed_samples
from eiclip.model.entity_clip import EntityClipModel, load_checkpoint
from eiclip.model.sources import PADDED, RESIZE_MODES
from eiclip.model.towers import load_towers, photo_form
from eiclip.model.variants import get_variant
from eiclip.model.vocabulary import Vocabulary
from eiclip.readers.open import open_reader
from eiclip.settings.load import load_settings
from eiclip.settings.training import TrainingSettings
from eiclip.shards import PhotoForm, Sample, encode_photos
from eiclip.storage.catalogue import connect
from eiclip.storage.home import Paths
from eiclip.system.devices import pick_device

PHOTOS = """
SELECT images.image_id, images.product_id, images.photo, products.description
FROM images JOIN products USING (dataset, product_id)
WHERE dataset = $dataset AND images.split = $split
ORDER BY images.image_id
"""


def lines(dataset: str, split: str, variant: str | None) -> Iterator[dict[str, Any]]:
    """Recalls of each way."""
    settings = load_settings()
    home = Paths(settings.home)
    if variant is None:
        towers = load_towers(home.pretrained)
        model = EntityClipModel(towers, get_variant("clip_pretrained"), Vocabulary({}, {}), TrainingSettings())
    else:
        model = load_checkpoint(home.checkpoint(dataset, variant))
    model, own = model.eval().to(pick_device()), photo_form(model.towers)
    reader = open_reader(home, dataset, settings.datasets[dataset])
    with connect(Path(settings.home)) as connection:
        rows = connection.sql(PHOTOS, params={"dataset": dataset, "split": split}).fetchall()
    refs = [photo for _, _, photo, _ in rows]
    forms = {"own": own, "pad": PhotoForm(own.size, **PADDED)}
    forms |= {mode: PhotoForm(own.size, mode, own.interpolation, own.fill_color) for mode in RESIZE_MODES}
    for way, form in forms.items():
        if way in RESIZE_MODES and form in (own, forms["pad"]):
            continue
        encoded = zip(rows, encode_photos(reader, refs, form), strict=True)
        samples = [Sample(image, product, text or "", {}, jpeg) for (image, product, _, text), jpeg in encoded]
        recalls = embed_samples(model, samples, pick_device()).recalls()
        found = {name: round(value, 2) for name, value in recalls.items()}
        yield {"line": way, "dataset": dataset, "photos": len(samples), "resize_mode": form.resize_mode} | found


def main() -> None:
    """Print the lines of a dataset of `EICLIP_HOME`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--variant", help="a trained row instead of the towers that every row starts from")
    arguments = parser.parse_args()
    for line in lines(arguments.dataset, arguments.split, arguments.variant):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
