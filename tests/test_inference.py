"""EntityClip serves what the tables hold: same inputs, same embeddings; odd inputs are errors that name the item."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

import eiclip
from eiclip.errors import RawDataError, SettingsError, WeightsError
from eiclip.evaluation.embedding_tables import embeddings_table
from eiclip.evaluation.gates import gate_weights
from eiclip.inference import EntityClip
from eiclip.model.description import compose_text
from eiclip.model.entity_clip import save_checkpoint
from eiclip.model.inputs import ModelInputs
from eiclip.model.variants import VARIANTS
from eiclip.readers.photo_files import decode_rgb
from eiclip.shards import Sample, encode_photo, fit_square, shard_paths, write_shards

CLOSE = 1e-5
"""Of embeddings whose batches differ; where batches are the same, so are embeddings."""


@pytest.fixture(scope="module")
def served(tmp_path_factory, shop):
    folder = tmp_path_factory.mktemp("models")
    for variant in VARIANTS:
        save_checkpoint(shop.model(variant), folder / variant, {})
    return {variant: EntityClip.from_folder(folder / variant, "cpu") for variant in VARIANTS}


@pytest.fixture(scope="module")
def model(served):
    return served["eiclip"]


def drawn(size, mode="RGB", seed=0):
    """A photo of some noise, smooth enough to survive JPEG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 5, len(mode)), dtype=np.uint8)
    return Image.fromarray(pixels, mode if mode == "RGBA" else None).resize(size, Image.Resampling.BICUBIC)


def as_file(photo, kind, **options):
    file = io.BytesIO()
    photo.save(file, kind, **options)
    return file.getvalue()


def table_of(shop, model, samples, folder):
    """The embeddings table of samples, by kind: item ids and embeddings."""
    write_shards((("test", sample) for sample in samples), folder, photo_size=64)
    table = embeddings_table(model.model, "shop", shard_paths(folder, "test"), excluded_group="season").to_pylist()
    kinds = {kind: [row for row in table if row["kind"] == kind] for kind in ("image", "text")}
    return {
        kind: ([row["item_id"] for row in rows], np.array([row["embedding"] for row in rows], dtype=np.float32))
        for kind, rows in kinds.items()
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_embeddings_are_those_of_the_table(served, shop, variant, tmp_path):
    model, samples = served[variant], list(shop.samples())
    found = table_of(shop, model, samples, tmp_path / "shards")
    products = list({sample.product_id: sample for sample in samples}.values())
    images = model.encode_image([sample.jpeg for sample in samples])
    texts = model.encode_text([p.description for p in products], [p.entities for p in products])
    assert np.array_equal(images, found["image"][1])
    assert np.array_equal(texts, found["text"][1])
    for embeddings in (images, texts):
        assert (embeddings.dtype, embeddings.shape[1]) == (np.float32, model.width)
        assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_photos_as_a_shop_has_them_are_prepared_as_the_shards_are(model, shop, tmp_path):
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    files = {
        "wide.png": as_file(drawn((120, 80)), "PNG"),
        "tall.jpg": as_file(drawn((50, 140), seed=1), "JPEG"),
        "tiny.webp": as_file(drawn((20, 31), seed=2), "WEBP"),
        "cut_out.png": as_file(drawn((90, 90), "RGBA", seed=3), "PNG"),
        "turned.jpg": as_file(drawn((64, 64), seed=4), "JPEG", exif=turned),
        "own_size.png": as_file(drawn((64, 64), seed=5), "PNG"),
    }
    samples = [Sample(name, name, "", {}, encode_photo(decode_rgb(file, name), 64)) for name, file in files.items()]
    expected = table_of(shop, model, samples, tmp_path / "shards")["image"][1]
    paths = [tmp_path / name for name in files]
    for path, file in zip(paths, files.values(), strict=True):
        path.write_bytes(file)
    for photos in (list(files.values()), paths, [str(path) for path in paths], [Image.open(path) for path in paths]):
        assert np.array_equal(model.encode_image(photos), expected)
    arrays = [np.asarray(decode_rgb(file, name)) for name, file in files.items()]
    assert np.array_equal(model.encode_image(arrays), expected)
    assert np.array_equal(model.encode_image(array for array in arrays), expected), "what can be read once"


def test_jpeg_costs_an_embedding_little(model):
    """The stated tolerance: what the shards' JPEG changes of a photo."""
    photo = fit_square(drawn((64, 90)), 64)
    through, again = model.encode_image([photo, encode_photo(photo, 64)])
    assert np.array_equal(through, again)
    assert through @ model.encode_image(as_file(photo, "JPEG", quality=100, subsampling=0))[0] > 0.99


def test_one_item_is_a_list_of_one(model):
    photo, pixels = drawn((64, 64)), np.asarray(drawn((64, 64)))
    several = model.encode_image([photo, pixels])
    assert several.shape == (2, model.width)
    for one in (photo, pixels, as_file(photo, "PNG")):
        assert np.allclose(model.encode_image(one), several[:1], atol=CLOSE)
    assert np.allclose(model.encode_image(np.stack([pixels, pixels])), several, atol=CLOSE)
    text = model.encode_text("a coat", {"brand": "b0"})
    assert np.array_equal(text, model.encode_text(["a coat"], [{"brand": "b0"}]))
    assert np.array_equal(model.encode_text("a coat"), model.encode_text(["a coat"], [{}]))
    assert model.gates({"brand": "b0"}) == model.gates([{"brand": "b0"}])


def test_nothing_in_nothing_out(model):
    assert model.encode_image([]).shape == model.encode_text([]).shape == (0, model.width)
    assert model.encode_text([], []).dtype == np.float32
    assert model.gates([]) == model.unknown([]) == []


def test_more_than_a_batch_stays_in_order(model):
    texts = [f"{'very ' * (n % 7)}long coat {n}" for n in range(150)]
    together = model.encode_text(texts, [{"brand": f"b{n % 4}"} for n in range(150)])
    for n in (0, 1, 127, 128, 149):
        assert np.allclose(together[n], model.encode_text(texts[n], {"brand": f"b{n % 4}"})[0], atol=CLOSE)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"brand": "  B0 "}, {"brand": "b0"}),
        ({"season": "FW2016\n"}, {"season": "fw2016"}),
        ({"brand": "n/a", "season": None}, {}),
        ({"brand": "", "season": "fw2016"}, {"season": "fw2016"}),
        ({"brand": "never seen"}, {"brand": "nor this one"}),
        ({"brand": ["B-0™", "b 1"]}, {"brand": ["never seen", "nor this one"]}),
        ({"brand": ["b0™", "B’1"]}, {"brand": ["b0", "b1"]}),
        ({"brand": "&lt;unk&gt;"}, {}),
        ({"brand": ["B0"], "season": []}, {"brand": "b0"}),
        ({"brand": ["b1", " B0", None, "n/a", "b1"]}, {"brand": ("b0", "b1")}),
    ],
)
def test_entities_are_read_in_the_form_they_are_counted_by(model, said, meant):
    assert np.array_equal(model.encode_text("a coat", said), model.encode_text("a coat", meant))


def test_several_entities_of_a_group_are_their_mean(model):
    fusion, ids = model.model.fusion, torch.tensor([1, 2])
    with torch.inference_mode():
        mean = fusion.entity(0, ids).mean(dim=0)
        description = model.model.encode_description(ModelInputs.of(model.model).token_ids(["a coat"]))[0]
        weight = fusion.weight(0, mean[None])[0]
        text = torch.nn.functional.normalize(description + weight * mean, dim=-1)
    found = model.encode_text("a coat", {"brand": ["b0", "b1"]})[0]
    assert np.allclose(found, text.numpy(), atol=1e-6)
    assert model.gates({"brand": ["b0", "b1"]}) == [{"brand": pytest.approx(float(weight))}]
    assert model.unknown({"brand": ["b0", "new", "newer"]}) == [{"brand": ["new", "newer"]}]


def test_unknown_entities_are_told(model):
    items = [{"brand": "B0", "season": " SS 2031"}, {}, {"brand": "Acme  Corp"}, {"season": None}]
    assert model.unknown(items) == [{"season": ["ss 2031"]}, {}, {"brand": ["acme corp"]}, {}]
    assert model.groups == ("brand", "season")


def test_texts_are_cleaned_and_cut_as_in_training(model):
    assert np.array_equal(model.encode_text("<b>A coat</b>&nbsp; "), model.encode_text("A coat"))
    assert np.array_equal(model.encode_text("x " * 90), model.encode_text("x " * 9_000_000))


def test_row_3_reads_entities_as_words(served):
    model, tags = served["clip_entities_text"], {"season": "FW2016", "brand": "Acme"}
    words = compose_text("a coat", {"season": ["fw2016"], "brand": ["acme"]}, model.groups, entities_first=True)
    assert np.array_equal(model.encode_text("a coat", tags), model.encode_text(words))


@pytest.mark.parametrize("variant", ["clip_pretrained", "clip_description"])
def test_rows_1_and_2_read_no_entities(served, variant):
    model = served[variant]
    assert np.array_equal(model.encode_text("a coat", {"brand": "b0"}), model.encode_text("a coat"))


def test_gates_are_those_of_the_table(model, served):
    rows = gate_weights(model.model, "shop").to_pylist()
    table = {(row["entity_group"], row["entity"]): row["weight"] for row in rows}
    found = model.gates([{"brand": "b1", "season": "fw2016"}, {"brand": "never seen"}, {"brand": "none"}])
    expected = [
        {"brand": table["brand", "b1"], "season": table["season", "fw2016"]},
        {"brand": table["brand", "<unk>"]},
        {},
    ]
    assert [list(weights) for weights in found] == [list(weights) for weights in expected]
    for weights, wanted in zip(found, expected, strict=True):
        assert weights == pytest.approx(wanted, abs=1e-6)
    assert served["eiclip_equal"].gates({"brand": "b1"}) == [{"brand": 1.0}]
    with pytest.raises(SettingsError, match="clip_description has no gates: rows 4 to 6"):
        served["clip_description"].gates({"brand": "b1"})


GOOD = np.zeros((8, 8, 3), dtype=np.uint8)
NO_PHOTOS = {
    "none": (None, "NoneType is no photo"),
    "number": (3, "int is no photo"),
    "empty": (b"", "not a JPEG, PNG or WEBP"),
    "text": (b"GIF89a and more", "not a JPEG, PNG or WEBP"),
    "cut": (as_file(drawn((64, 64)), "PNG")[:300], "unreadable photo"),
    "missing": ("/nowhere/shoe.jpg", "No such file"),
    "folder": ("/", "Is a directory"),
    "floats": (GOOD.astype(float), r"float64 \(8, 8, 3\) is no photo"),
    "grey": (GOOD[..., 0], r"uint8 \(8, 8\) is no photo"),
    "four": (np.zeros((8, 8, 4), dtype=np.uint8), r"uint8 \(8, 8, 4\) is no photo"),
    "no pixels": (GOOD[:0], r"uint8 \(0, 8, 3\) is no photo"),
}


@pytest.mark.parametrize("name", NO_PHOTOS)
def test_what_is_no_photo_is_named_by_its_number(model, name):
    photo, said = NO_PHOTOS[name]
    with pytest.raises(RawDataError, match=f"photo 2: .*{said}"):
        model.encode_image([GOOD, GOOD, photo])


def test_a_lazy_image_that_is_cut_is_named(model):
    photo = Image.open(io.BytesIO(as_file(drawn((300, 300)), "JPEG")[:2000]))
    with pytest.raises(RawDataError, match="photo 0: .*truncated"):
        model.encode_image(photo)


def test_texts_and_entities_that_do_not_fit_are_named(model):
    with pytest.raises(SettingsError, match="2 texts with 1 entities"):
        model.encode_text(["a", "b"], [{}])
    with pytest.raises(SettingsError, match="2 texts with 1 entities"):
        model.encode_text(["a", "b"], {"brand": "b0"})
    with pytest.raises(SettingsError, match="item 1: no entity group 'colour'; the model's groups are: brand, season"):
        model.encode_text(["a", "b"], [{}, {"colour": "red"}])
    with pytest.raises(RawDataError, match="item 0: its brand is 7, neither a text nor a list of them"):
        model.unknown({"brand": 7})
    with pytest.raises(RawDataError, match="item 1: its brand is \\['b0', 7\\], neither a text"):
        model.gates([{"brand": "b0"}, {"brand": ["b0", 7]}])
    with pytest.raises(RawDataError, match="text 1: None is not a text"):
        model.encode_text(["a", None])


def test_a_folder_that_is_no_checkpoint(tmp_path, shop):
    with pytest.raises(WeightsError, match="not a whole checkpoint"):
        EntityClip.from_folder(tmp_path)
    save_checkpoint(shop.model(), tmp_path / "model", {})
    for text in ("[]", "{}", "not JSON"):
        (tmp_path / "model" / "vocabulary.json").write_text(text)
        with pytest.raises(WeightsError, match="not a whole checkpoint"):
            EntityClip.from_folder(tmp_path / "model")


def test_the_package_has_the_class_and_loads_without_torch():
    assert eiclip.EntityClip is EntityClip
    with pytest.raises(AttributeError, match="Nothing"):
        eiclip.Nothing  # noqa: B018
    code = "import sys, eiclip; assert 'EntityClip' in eiclip.__all__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
