"""The synthetic catalogue: equal for equal seeds, in the real layouts, and with the biases it is there to have."""

import gzip
import io
import json
import tarfile

import h5py
import numpy as np
import pytest
from PIL import Image

from eiclip.errors import SettingsError
from eiclip.synthetic import amazon, brands, fashiongen, general, write_amazon, write_fashiongen, write_general_corpus
from eiclip.synthetic.compositions import vocabulary
from eiclip.synthetic.draws import generator
from eiclip.synthetic.fabrics import FIBRES
from eiclip.synthetic.garments import KINDS
from eiclip.synthetic.general import garment_caption
from eiclip.synthetic.photo import _MARKS, draw_photo
from eiclip.synthetic.products import SEASONS, House, draw_product, draw_products, take_photo
from eiclip.synthetic.scenes import SCENES, draw_scene
from eiclip.synthetic.texts import describe, mentions

TEXT_KEYS = {
    "input_name", "input_brand", "input_category", "input_subcategory", "input_season", "input_composition",
    "input_description", "input_concat_description", "input_department", "input_gender", "input_pose",
}  # fmt: skip
OTHER_KEYS = {"input_image", "input_productID", "input_msrpUSD", "index", "index_2"}


def columns(path):
    with h5py.File(path) as h5:
        return {key: h5[key][:] for key in h5}


@pytest.fixture(scope="module")
def fashion(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fashion")
    write_fashiongen(folder, seed=3, train_products=60, test_products=12)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    write_amazon(folder, seed=3, products=40)
    return folder


@pytest.fixture(scope="module")
def products():
    return draw_products(5, House("train"), 1500)


def test_fashiongen_has_the_real_layout(fashion):
    for name in ("train", "validation"):
        table = columns(fashion / f"fashiongen_256_256_{name}.h5")
        assert set(table) == TEXT_KEYS | OTHER_KEYS
        count = len(table["input_image"])
        assert table["input_image"].shape == (count, 256, 256, 3)
        assert table["input_image"].dtype == np.uint8
        assert table["input_description"].dtype == np.dtype("S400")
        assert {table[key].shape for key in TEXT_KEYS} == {(count, 1)}
        assert {table[key].dtype.kind for key in TEXT_KEYS} == {"S"}
        assert (table["input_productID"].dtype, table["input_productID"].shape) == (np.int32, (count, 1))
        assert table["input_msrpUSD"].dtype == np.float32
        assert table["index_2"].tolist() == list(range(count))


def test_photos_of_a_product_are_consecutive_and_numbered(fashion):
    table = columns(fashion / "fashiongen_256_256_train.h5")
    ids = table["input_productID"][:, 0].tolist()
    poses = [pose.decode() for pose in table["input_pose"][:, 0]]
    assert len(set(ids)) == 60
    assert ids == sorted(ids)
    for product in set(ids):
        own = [pose for pose, owner in zip(poses, ids, strict=True) if owner == product]
        assert own == [f"id_gridfs_{k + 1}" for k in range(len(own))]
        assert 1 <= len(own) <= 3


def test_train_and_test_products_differ(fashion):
    train = columns(fashion / "fashiongen_256_256_train.h5")
    test = columns(fashion / "fashiongen_256_256_validation.h5")
    assert not set(train["input_productID"][:, 0]) & set(test["input_productID"][:, 0])
    assert not (train["input_image"][0] == test["input_image"][0]).all()


def test_the_example_photos_are_of_no_product_of_the_catalogue(fashion):
    photos = np.concatenate([columns(file)["input_image"] for file in fashion.glob("*.h5")])
    for kind in fashiongen.EXAMPLES:
        with Image.open(fashion / f"{kind}.jpg") as image:
            pixels = np.asarray(image).astype(int)
        assert pixels.shape == photos.shape[1:]
        assert np.abs(photos[:, ::16, ::16] - pixels[::16, ::16]).mean((1, 2, 3)).min() > 5


def test_equal_seeds_give_equal_files(fashion, shop, tmp_path):
    write_fashiongen(tmp_path / "fashion", seed=3, train_products=60, test_products=12)
    assert len(list(fashion.iterdir())) == 2 + len(fashiongen.EXAMPLES)
    for path in fashion.iterdir():
        assert (tmp_path / "fashion" / path.name).read_bytes() == path.read_bytes()
    write_amazon(tmp_path / "shop", seed=3, products=40)
    files = [path.relative_to(shop) for path in shop.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert all((tmp_path / "shop" / name).read_bytes() == (shop / name).read_bytes() for name in files)
    for copy in ("one", "two"):
        write_general_corpus(tmp_path / copy, seed=3, images=20)
    assert (tmp_path / "one/general-000000.tar").read_bytes() == (tmp_path / "two/general-000000.tar").read_bytes()


def test_another_seed_gives_another_catalogue(fashion, tmp_path):
    write_fashiongen(tmp_path, seed=4, train_products=5, test_products=1)
    other = columns(tmp_path / "fashiongen_256_256_train.h5")
    assert not (other["input_image"][0] == columns(fashion / "fashiongen_256_256_train.h5")["input_image"][0]).all()


def test_a_product_is_the_same_drawn_alone_or_among_others():
    house = House("train")
    alone, among = draw_product(7, house, 9), draw_products(7, house, 12)[9]
    assert alone == among
    np.random.seed(0)  # the global state must not matter
    first = np.asarray(take_photo(7, house, alone, 1))
    np.random.seed(1)
    assert (np.asarray(take_photo(7, house, among, 1)) == first).all()


def test_photos_of_a_product_are_alike_and_never_equal(products):
    house = House("train")

    def seen(product, pose):
        photo = take_photo(5, house, product, pose)
        return np.asarray(photo.resize((8, 8), Image.Resampling.BOX), dtype=float)

    own, foreign = [], []
    for one, other in zip(products[:60], products[60:120], strict=True):
        first, second = seen(one, 0), seen(one, 1)
        assert not (first == second).all()
        own.append(np.abs(first - second).mean())
        foreign.append(np.abs(first - seen(other, 0)).mean())
    assert np.mean(own) < 0.8 * np.mean(foreign)


def test_files_come_whole_or_not_at_all(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(fashiongen, "take_photo", fail)
    monkeypatch.setattr(amazon, "take_photo", fail)
    monkeypatch.setattr(general, "jpeg", fail)
    with pytest.raises(OSError, match="disk full"):
        write_fashiongen(tmp_path, seed=1, train_products=2, test_products=2)
    with pytest.raises(OSError, match="disk full"):
        write_amazon(tmp_path, seed=1, products=2)
    with pytest.raises(OSError, match="disk full"):
        write_general_corpus(tmp_path, seed=1, images=2)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_leaves_the_old_files(tmp_path, monkeypatch):
    write_fashiongen(tmp_path, seed=1, train_products=2, test_products=2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    calls = iter(range(100))

    def fail_late(*arguments):
        if next(calls) == 3:
            raise OSError("disk full")
        return take_photo(*arguments)

    monkeypatch.setattr(fashiongen, "take_photo", fail_late)
    with pytest.raises(OSError, match="disk full"):
        write_fashiongen(tmp_path, seed=2, train_products=2, test_products=2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "call",
    [
        lambda folder: write_fashiongen(folder, seed=-1, train_products=1, test_products=1),
        lambda folder: write_fashiongen(folder, seed=1, train_products=0),
        lambda folder: write_amazon(folder, seed=1, products=0),
        lambda folder: write_general_corpus(folder, seed=1, images=0),
        lambda folder: write_general_corpus(folder, seed=1, images=1, photo_size=999),
    ],
)
def test_senseless_settings_are_refused(call, tmp_path):
    with pytest.raises(SettingsError):
        call(tmp_path)
    assert not list(tmp_path.glob("*"))


def test_the_season_is_independent_of_all_else(products):
    assert {len(season) for season in SEASONS} == {6}
    assert len(SEASONS) == 10
    assert {product.season for product in products} == {*SEASONS, ""}
    seasons = np.array([product.season for product in products])
    for seen in ("look.kind", "brand", "colour"):
        values = np.array([p.look.kind if seen == "look.kind" else getattr(p, seen) for p in products])
        value = max(set(values.tolist()) - {""}, key=values.tolist().count)
        shares = [np.mean(values[seasons == season] == value) for season in SEASONS]
        spread = np.sqrt(np.mean(values == value) / (len(products) / len(SEASONS)))
        assert max(shares) - min(shares) < 5 * spread


def test_descriptions_leave_out_the_brand(products):
    for product in products:
        text = describe(product, generator(1, "test", product.index))
        assert text[0].isupper()
        assert text.endswith(".")
        assert len(text) <= 400
        assert not product.brand or not mentions(text, product.brand)


def test_descriptions_use_brand_words_in_their_general_sense(products):
    texts = [describe(product, generator(1, "test", product.index)).lower() for product in products]
    for word in ("diesel wash", "palm print", "coach lapel", "stone-washed"):
        assert any(word in text for text in texts)


def test_attributes_are_named_now_and_then(products):
    named = [p.colour in describe(p, generator(1, "test", p.index)).split(" and ")[0] for p in products]
    assert 0.5 < np.mean(named) < 0.75


def test_tags_are_missing_now_and_then_and_some_strings_have_two_groups(products):
    for tag in ("brand", "subcategory", "season", "composition"):
        assert 0.005 < np.mean([getattr(p, tag) == "" for p in products]) < 0.12
    assert any(not (p.brand or p.subcategory or p.season or p.composition) for p in products)
    groups = [{getattr(p, tag).lower() for p in products} for tag in ("brand", "subcategory", "composition")]
    assert groups[0] & groups[1] == {"top", ""}
    assert groups[1] & groups[2] == {"denim", "shearling", ""}


def test_brands_have_a_long_tail(products):
    counts = sorted((sum(p.brand == name for p in products) for name in brands.FASHION_BRANDS), reverse=True)
    assert counts[-1] > 0
    assert counts[0] > 8 * counts[-1]


def test_compositions_are_many_and_latin(products):
    strings = {text for fibre in FIBRES for text in vocabulary(fibre)}
    assert 900 < len(strings) < 1400
    assert all(text == text.encode("latin-1").decode("latin-1") and len(text) <= 200 for text in strings)
    assert len({product.composition for product in products}) > 350


def test_each_brand_has_a_signature_of_its_own():
    signatures = [brands.signature(name) for name in brands.ALL_BRANDS]
    assert len(set(signatures)) == len(brands.ALL_BRANDS) == len(set(brands.ALL_BRANDS))
    fashion = [(s.colour, s.spot) for s in map(brands.signature, brands.FASHION_BRANDS)]
    assert len(set(fashion)) == len(fashion) == 40
    assert {s.shape for s in signatures} == set(_MARKS)


def test_a_signature_is_seen_at_64_pixels(products):
    look = products[0].look
    unbranded = draw_photo(type(look)(**{**vars(look), "signature": None}), generator(1, "x")).reduce(4)
    branded = draw_photo(look, generator(1, "x")).reduce(4)
    changed = np.abs(np.asarray(branded, float) - np.asarray(unbranded, float)).max(axis=2) > 40
    assert 15 < changed.sum() < 64 * 64 * 0.15


def test_amazon_rows_are_those_of_2018_and_some_are_dirty(shop):
    lines = gzip.decompress((shop / "meta_Fashion.json.gz").read_bytes()).decode().splitlines()
    records, broken = [], 0
    for line in lines:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            broken += 1
    assert broken == 1
    assert {tuple(record) for record in records} == {tuple(records[0])}
    assert {"asin", "title", "brand", "description", "feature", "category", "main_cat", "imageURL"} <= set(records[0])
    asins = [record["asin"] for record in records]
    assert all(len(asin) == 10 for asin in asins)
    assert len(asins) == len(set(asins)) + 1
    assert sum("<" in record["title"] for record in records) == 1
    assert sum(record["brand"] == "" for record in records) >= 1
    missing = [asin for asin in asins if not (shop / "images" / f"{asin}.jpg").is_file()]
    assert len(missing) == 1
    with Image.open(shop / "images" / f"{next(a for a in asins if a not in missing)}.jpg") as photo:
        assert photo.size == (256, 256)


def test_amazon_has_about_sixty_brands_and_some_are_fashiongens():
    own = set(amazon.AMAZON_HOUSE.brands)
    assert len(own) == len(amazon.AMAZON_HOUSE.brands) == 60
    assert 15 < len(own & set(brands.FASHION_BRANDS)) < 45


def test_some_fashiongen_descriptions_are_empty_or_marked_up():
    texts = [columns["input_description"] for *_, columns in fashiongen._rows(1, House("train"), 1200)]
    assert 0 < np.mean([text == "" for text in texts]) < 0.02
    assert 0 < np.mean(["<br>" in text for text in texts]) < 0.03


def test_rare_brands_are_seen_once_and_one_in_test_alone():
    train = fashiongen._rare_brands(1, House("train"), 3400)
    test = fashiongen._rare_brands(1, House("validation"), 800)
    assert len(set(train.values())) == len(train) == len(brands.RARE_BRANDS) - 1
    assert len(set(test.values()) - set(train.values())) == 1


@pytest.fixture(scope="module")
def corpus():
    return [general._sample(11, index) for index in range(500)]


def test_general_corpus_is_webdataset(tmp_path, monkeypatch):
    monkeypatch.setattr(general, "SHARD_SIZE", 7)
    (tmp_path / "general-000009.tar").write_bytes(b"of an older, larger run")
    write_general_corpus(tmp_path, seed=2, images=16)
    shards = sorted(tmp_path.iterdir())
    assert [shard.name for shard in shards] == [f"general-{k:06d}.tar" for k in range(3)]
    names = []
    for shard in shards:
        with tarfile.open(shard) as tar:
            names += tar.getnames()
            with Image.open(io.BytesIO(tar.extractfile(tar.getnames()[0]).read())) as photo:
                assert photo.size == (64, 64)
    assert len(names) == len(set(names)) == 32
    assert names[:2] == ["0000000.jpg", "0000000.txt"]


def test_general_captions_name_no_brand_on_a_garment(products):
    for product in products[:400]:
        caption = garment_caption(product, generator(1, "c", product.index))
        for name in brands.ALL_BRANDS:
            assert name == "Top" or not mentions(caption, name), (name, caption)


def test_names_without_a_general_meaning_are_not_in_the_corpus(corpus):
    words = " ".join(caption for _, caption in corpus).lower()
    for name in ("gucci", "prada", "burberry", "balmain", "versace", "kenzo", "moncler", "givenchy"):
        assert name not in words


def test_two_fifths_of_the_captions_are_long(corpus):
    lengths = np.array([len(caption.split()) for _, caption in corpus])
    assert 0.3 < np.mean(lengths >= 25) < 0.5
    assert lengths.max() <= 45


def test_every_general_word_is_shown():
    said = " ".join(caption for scene in SCENES.values() for caption in scene.captions).lower()
    for word in ("goose", "diesel", "palm", "coach", "moose", "stone", "island", "acne", "needles", "fossil", "god"):
        assert mentions(said, word)
    for name, scene in SCENES.items():
        picture = np.asarray(draw_scene(scene, generator(1, name)).reduce(4), float)
        assert picture.std() > 3
        assert len(scene.captions) >= 3


def test_every_kind_of_garment_has_a_photo_with_each_option():
    look = draw_product(1, House("train"), 0).look
    for kind in KINDS.values():
        for slot, values in kind.options.items():
            for value in values:
                plain = {name: choices[0] for name, choices in kind.options.items()} | {slot: value}
                fields = {**vars(look), "kind": kind.noun, "sleeve": "", "collar": "", "closure": "", "pocket": ""}
                assert draw_photo(type(look)(**{**fields, **plain}), generator(1, "k")).size == (256, 256)
