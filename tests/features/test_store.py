"""Features of shards are the frozen parts' output over their photos and texts, kept, and refused where they are not."""

from dataclasses import replace

import pytest
import torch

from eiclip.errors import CorruptOutputError, NonFiniteError, SettingsError
from eiclip.evaluation.embed import embed_samples
from eiclip.features.files import write_features
from eiclip.features.reader import PhotoRows, TextRows, feature_store, features_of, shard_texts
from eiclip.features.store import text_forms
from eiclip.model.entity_clip import EntityClipModel
from eiclip.model.inputs import normalise
from eiclip.model.sources import SMALL
from eiclip.model.towers import new_towers, tokenizer_of
from eiclip.model.variants import get_variant
from eiclip.settings.training import AugmentSettings, TrainingSettings
from eiclip.shards import read_samples, shard_paths, write_shards
from eiclip.shards.read import index_of

FROZEN = {"image_tower": "heads", "text_tower": "heads"}


@pytest.fixture(scope="module")
def shards(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_shards((("train", sample) for sample in shop.samples()), folder, photo_size=64)
    return folder


@pytest.fixture
def store_of(shop, shards, tmp_path):
    """Makes the store of a model of row 3 with these settings, in the same folder every time."""

    def store_of(change=lambda towers: None, text=SMALL["text_cfg"], **settings):
        towers = new_towers(SMALL | {"text_cfg": text}, 0)
        with torch.no_grad():
            change(towers)
        model = EntityClipModel(towers, get_variant("clip_entities_text"), shop.vocabulary,
                                TrainingSettings(**(FROZEN | settings)))  # fmt: skip
        return feature_store(model.eval(), tmp_path / "features", shards)

    return store_of


@pytest.fixture
def shard(shards):
    [path] = shard_paths(shards, "train")
    return path


def write(store, shard):
    index = index_of(shard)
    forms = text_forms(store.model, "season")
    return store.write(shard, index, [shard_texts(index, read) for read in forms])


def pixels_of(shard):
    return torch.stack([torch.from_numpy(sample.pixels(64).copy()) for sample in read_samples([shard])])


def test_photos_are_those_of_the_frozen_part(store_of, shard):
    store = store_of()
    assert write(store, shard) == {"photos": 12, "texts": 18}
    ids, features = store.photos(shard)
    assert ids == [sample.image_id for sample in read_samples([shard])]
    with torch.no_grad():
        visual = store.model.towers.visual
        wanted = visual._pool(visual.transformer(visual._embeds(normalise(store.model, pixels_of(shard)))))[0]
        embedding = store.model.encode_image(normalise(store.model, pixels_of(shard)))
        ours = store.model.encode_image_features(features[:, 0])
    assert torch.allclose(features[:, 0].float(), wanted, atol=2e-3)
    assert torch.allclose(ours, embedding, atol=2e-3)


@pytest.mark.parametrize("mask", ["causal", "none"])
@pytest.mark.parametrize("mode", ["heads", "frozen", "last:1"])
def test_texts_are_found_by_what_is_read_of_a_product(store_of, shard, mode, mask):
    text = SMALL["text_cfg"] | {"no_causal_mask": mask == "none"}
    store = store_of(text=text, text_tower=mode)
    write(store, shard)
    split = features_of(store, [shard])
    for read in text_forms(store.model, "season"):
        rows = split.texts(read)
        texts = shard_texts(index_of(shard), read)
        assert list(rows.row) == texts
        chosen = [3, 0, 4]
        tokens = tokenizer_of(store.model.towers)([texts[number] for number in chosen])
        features = rows.of(torch.tensor(chosen))
        with torch.no_grad():
            ours = store.model.encode_description(tokens, features)
            assert torch.allclose(ours, store.model.encode_description(tokens), atol=5e-3)
        assert rows.by_token == (mode == "last:1")
    assert not (store.folder / "texts").exists(), "the asset's file has them all"


def test_other_texts_are_computed_once_and_kept(store_of, shard):
    store = store_of()
    write(store, shard)
    found = store.texts(shard, ["a coat", "a red coat"])
    [kept] = (store.folder / "texts").glob("*.safetensors")
    stamp = kept.stat().st_mtime_ns
    again = store.texts(shard, ["a coat", "a red coat"]).values.clone()  # what is read is mapped from the file
    assert torch.equal(found.values, again)
    assert kept.stat().st_mtime_ns == stamp
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(CorruptOutputError, match="delete it: it is then computed again"):
        store.texts(shard, ["a coat", "a red coat"])
    kept.unlink()
    assert torch.equal(store.texts(shard, ["a coat", "a red coat"]).values, again)


def test_features_of_another_model_are_refused(store_of, shard):
    write(store_of(), shard)
    changed = store_of(lambda towers: towers.visual.conv1.weight.view(-1)[0].add_(0.1))
    with pytest.raises(CorruptOutputError, match="other towers"):
        changed.photos(shard)
    assert store_of(lambda towers: towers.visual.proj.add_(1)).photos(shard)[0], "the heads are no part of it"
    for other in ({"image_tower": "last:1"}, {"feature_views": 2}):
        with pytest.raises(CorruptOutputError, match="other towers"):
            store_of(**other).photos(shard)


def test_features_of_other_photos_of_the_same_names_are_refused(shop, tmp_path):
    samples, folder = list(shop.samples()), tmp_path / "shards"
    names = [(sample.image_id, sample.product_id) for sample in samples]
    swapped = [replace(sample, image_id=i, product_id=p) for sample, (i, p) in zip(samples[::-1], names, strict=True)]
    settings, row_3 = TrainingSettings(**FROZEN), get_variant("clip_entities_text")
    model = EntityClipModel(new_towers(SMALL, 0), row_3, shop.vocabulary, settings).eval()
    for written, refused in ((samples, False), (swapped, True)):
        write_shards((("train", sample) for sample in written), folder, photo_size=64)
        [shard] = shard_paths(folder, "train")
        store = feature_store(model, tmp_path / "features", folder)
        if refused:
            with pytest.raises(CorruptOutputError, match="other towers, settings or photos"):
                store.photos(shard)
        write(store, shard)
        assert len(store.photos(shard)[0]) == 12


def test_weights_that_are_not_finite_give_no_file(store_of, shard):
    store = store_of(lambda towers: towers.visual.conv1.weight.fill_(float("nan")))
    with pytest.raises(NonFiniteError, match="photos"):
        write(store, shard)
    assert not store.place(shard).exists()


def test_missing_features_name_what_to_do(store_of, shard):
    with pytest.raises(CorruptOutputError, match="materialise `features` again"):
        PhotoRows(store_of(), features_shards(shard))


def test_a_file_of_something_else_is_refused(store_of, shard):
    write_features(store_of().place(shard), {"weights": torch.zeros(3)}, "something else")
    with pytest.raises(CorruptOutputError, match="other towers"):
        store_of().photos(shard)


def features_shards(shard):
    from eiclip.features.reader import IndexedShard

    return [IndexedShard(shard, index_of(shard))]


def test_a_photo_without_features_is_named(store_of, shard):
    store = store_of()
    write(store, shard)
    with pytest.raises(CorruptOutputError, match="no features of photo 'p77_0'"):
        PhotoRows(store, features_shards(shard)).rows(["p0_0", "p77_0"])


def test_views_repeat_and_differ_from_the_plain_one(store_of, shard):
    found = []
    for least in (0.5, 0.5, 0.6):
        store = store_of(feature_views=3, augment=AugmentSettings(scale=(least, 0.9)))
        write(store, shard)
        found.append(store.photos(shard)[1])
    assert found[0].shape[:2] == (12, 3)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(found[0][:, 0], found[2][:, 0]), "the first view is plain"
    assert not torch.equal(found[0][:, 0], found[0][:, 1])


def test_augmentation_needs_more_than_one_view(store_of):
    with pytest.raises(SettingsError, match="FEATURE_VIEWS"):
        store_of(augment=AugmentSettings())


def test_towers_trained_whole_have_no_features(shop, shards, tmp_path):
    assert feature_store(shop.model(), tmp_path, shards) is None
    model = EntityClipModel(new_towers(SMALL, 0), get_variant("eiclip"), shop.vocabulary, TrainingSettings(**FROZEN))
    assert feature_store(model, None, shards) is None, "frozen towers read pixels and tokens where none are kept"


def test_rows_of_texts_that_two_shards_share(store_of, shard):
    store = store_of(text_tower="last:1")
    write(store, shard)
    once = TextRows(store, features_shards(shard), lambda description, _: description)
    twice = TextRows(store, features_shards(shard) * 2, lambda description, _: description)
    assert once.row == twice.row
    rows = torch.tensor([1, 5])
    assert torch.equal(once.of(rows), twice.of(rows))


def test_from_features_or_from_pixels_and_tokens_embeddings_are_the_same(store_of, shard):
    store = store_of(text_tower="last:1")
    write(store, shard)
    samples = list(read_samples([shard]))
    kept, whole = (embed_samples(store.model, samples, features=f) for f in (features_of(store, [shard]), None))
    assert torch.allclose(kept.image_ND, whole.image_ND, atol=2e-3)
    assert torch.allclose(kept.text_PD, whole.text_PD, atol=5e-3)


@pytest.mark.parametrize("mode", ["heads", "last:2"])
def test_levels_are_kept_beside_the_features_and_read_where_a_model_has_their_head(store_of, shard, mode):
    plain, with_levels = (store_of(image_tower=mode, image_levels=levels) for levels in (False, True))
    write(plain, shard)
    features, more = plain.photos(shard)[1], with_levels.photos(shard)[1]
    width = with_levels.model.image_levels.width
    assert torch.equal(more[..., :-width], features.flatten(2)), "one file for all rows"
    head = with_levels.model.level_head
    head.fit(more[:, 0, -width:].float().mean(dim=0), more[:, 0, -width:].float().std(dim=0))
    samples = list(read_samples([shard]))
    kept, whole = (
        embed_samples(with_levels.model, samples, features=f) for f in (features_of(with_levels, [shard]), None)
    )
    assert torch.allclose(kept.image_ND, whole.image_ND, atol=1e-2)


def test_splits_that_are_not_trained_on_keep_the_plain_view_alone(store_of, shard):
    store = store_of(feature_views=3)
    store.write(shard, index_of(shard), [], plain=True)
    assert store.photos(shard)[1].shape[:2] == (12, 1)
