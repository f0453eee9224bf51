"""Settings from the environment, a file and defaults; wrong ones are refused with their name."""

import pytest

from eiclip.errors import SettingsError
from eiclip.settings.load import SMALL_RECIPE, DownloadSettings, load_settings
from eiclip.settings.training import TrainingSettings


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    import os

    for name in [name for name in os.environ if name.startswith("EICLIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_nothing_set_is_the_synthetic_catalogue(tmp_path):
    settings = load_settings()
    assert list(settings.datasets) == ["fashiongen", "amazon", "styles"]
    assert all(dataset.embedded for dataset in settings.datasets.values())
    assert settings.pretrained == "general"
    assert settings.home == tmp_path / "data"
    assert settings.training.epochs == SMALL_RECIPE["epochs"]


def test_one_real_path_leaves_only_that_dataset_and_released_weights(monkeypatch):
    monkeypatch.setenv("EICLIP_FASHIONGEN_DIR", "/real")
    settings = load_settings()
    assert list(settings.datasets) == ["fashiongen"]
    assert not settings.datasets["fashiongen"].embedded
    assert settings.pretrained == "openai"
    assert settings.training == TrainingSettings(), "the paper's recipe, its length by size"
    small = load_settings(pretrained="general").training
    assert (small.tower_lr, small.gate_lr) == (SMALL_RECIPE["tower_lr"], SMALL_RECIPE["gate_lr"])
    assert (small.epochs, small.steps, small.batch_size) == (None, None, None), "only its rates"


def test_amazon_paths_go_together(monkeypatch):
    monkeypatch.setenv("EICLIP_AMAZON_META", "/real/meta.json.gz")
    with pytest.raises(SettingsError, match="EICLIP_AMAZON_IMAGES go together"):
        load_settings()


def test_nested_variables_and_precedence_over_the_file(monkeypatch, tmp_path):
    (tmp_path / "mine.toml").write_text('seed = 5\n[training]\nepochs = 9\n[datasets.shop]\nkind = "amazon"\n')
    monkeypatch.setenv("EICLIP_SETTINGS", str(tmp_path / "mine.toml"))
    monkeypatch.setenv("EICLIP_SEED", "7")
    settings = load_settings()
    assert (settings.seed, settings.training.epochs, list(settings.datasets)) == (7, 9, ["shop"])
    monkeypatch.setenv("EICLIP_TRAINING__EPOCHS", "2")
    assert load_settings().training.epochs == 2


def test_chosen_epochs_hold_for_every_synthetic_dataset(monkeypatch):
    smaller = ("amazon", "styles")
    assert [load_settings().datasets[name].training for name in smaller] == [{"epochs": 6}] * 2
    monkeypatch.setenv("EICLIP_TRAINING__EPOCHS", "2")
    assert [load_settings().datasets[name].training for name in smaller] == [{}] * 2
    monkeypatch.delenv("EICLIP_TRAINING__EPOCHS")
    monkeypatch.setenv("EICLIP_TRAINING__STEPS", "30")
    settings = load_settings()
    assert [settings.datasets[name].training for name in smaller] == [{}] * 2
    assert (settings.training.steps, settings.training.epochs) == (30, None), "in place of the small recipe's epochs"


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("EICLIP_TRAINING__EPOCHS", "many", "training.epochs"),
        ("EICLIP_TRAINING__BATCH_SIZE", "1", "training.batch_size"),
        ("EICLIP_TRAINING__EPOCS", "3", "training.epocs"),
        ("EICLIP_SEED", "-1", "seed"),
    ],
)
def test_wrong_settings_are_named(monkeypatch, name, value, named):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named):
        load_settings()


def test_loss_terms_are_in_one_order_whatever_order_they_are_given_in(monkeypatch):
    monkeypatch.setenv("EICLIP_TRAINING__LOSS_TERMS", '["entities", "joint"]')
    assert load_settings().training.loss_terms == ("joint", "entities")


@pytest.mark.parametrize("value", ["[]", '["joint", "joint"]', '["join"]'])
def test_loss_terms_are_some_of_the_three_and_none_twice(monkeypatch, value):
    monkeypatch.setenv("EICLIP_TRAINING__LOSS_TERMS", value)
    with pytest.raises(SettingsError, match=r"training\.loss_terms[\s\S]*joint"):
        load_settings()


def test_misspelt_variables_and_missing_files_are_not_ignored(monkeypatch):
    monkeypatch.setenv("EICLIP_SEEED", "3")
    with pytest.raises(SettingsError, match="EICLIP_SEEED: no such setting"):
        load_settings()
    monkeypatch.delenv("EICLIP_SEEED")
    monkeypatch.setenv("EICLIP_SETTINGS", "/nonexistent.toml")
    with pytest.raises(SettingsError, match="no such file"):
        load_settings()


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"kind": "amazon", "metadata": "/x"}, "needs `images`"),
        ({"kind": "amazon", "images": "/x"}, "both `metadata` and `images`"),
        ({"kind": "table"}, "needs `files`"),
        ({"kind": "amazon", "training": {"epocs": 3}}, "unknown epocs"),
        ({"kind": "amazon", "rows": {"clip": {}}}, "rows: unknown clip"),
        ({"kind": "amazon", "rows": {"eiclip": {"epochs": 3}}}, "rows.eiclip.epochs"),
        ({"kind": "amazon", "subset": "papers"}, "subset"),
        ({"kind": "amazon", "part_rows": 0}, "part_rows"),
        ({"kind": "amazon", "download": {"concurency": 3}}, "download.concurency"),
        ({"kind": "table", "files": "x.csv", "columns": {"colour": "c"}}, "columns.colour"),
        (
            {"kind": "table", "files": "x.csv", "columns": {"separators": {"size": "|"}}},
            "columns.separators: 'size' is no entity group or attribute; choose from brand",
        ),
        (
            {"kind": "table", "files": "x.csv", "columns": {"separators": {"brand": ""}}},
            "columns.separators: that of 'brand' is empty; give one such as '|', or leave it out",
        ),
        ({"kind": "csv", "files": "x.csv"}, "kind"),
        ({"kind": "amazon", "encoding": "cp1252"}, "encoding is for a table"),
        ({"kind": "table", "files": "x.csv", "encoding": "ansi"}, "encoding: 'ansi' is none that Python reads line by"),
        ({"kind": "table", "files": "x.csv", "encoding": "utf-16"}, "encoding: 'utf-16' is none"),
    ],
)
def test_half_a_dataset_is_refused(entry, named):
    with pytest.raises(SettingsError, match=named):
        load_settings(datasets={"shop": entry})


@pytest.mark.parametrize("name", ["my-shop", "my shop", "größe", "a.b", ""])
def test_a_dataset_is_named_by_letters_digits_and_underscores(name):
    with pytest.raises(SettingsError, match="a dataset's name has letters from a to z, digits and '_' alone"):
        load_settings(datasets={name: {"kind": "amazon"}})


def test_relative_paths_begin_where_the_settings_file_lies(monkeypatch, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "eiclip.toml").write_text(
        'home = "made"\n[datasets.shop]\nkind = "table"\nfiles = "raw/*.csv"\nimages = "../photos"\n'
        'reviews = "s3://bucket/reviews"\npublish = "/shards"\n[datasets.shop.same_style]\nlog = "clicks.csv"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EICLIP_SETTINGS", "shop/eiclip.toml")
    settings = load_settings()
    shop, folder = settings.datasets["shop"], tmp_path / "shop"
    assert settings.home == (folder / "made").resolve()
    assert (shop.files, shop.images) == (f"{folder}/raw/*.csv", f"{folder}/../photos")
    assert (shop.reviews, shop.publish) == ("s3://bucket/reviews", "/shards")
    assert shop.same_style is not None
    assert shop.same_style.log == f"{folder}/clicks.csv"


@pytest.mark.parametrize(
    ("named", "is_path"),
    [
        ("clip/model.safetensors", True), ("./clip", True), ("../gone", True), ("clip/..", True), ("openai", False),
        ("general", False), ("hf-hub:org/name", False), ("org/name", False), ("gone.safetensors", False),
    ],
)  # fmt: skip
def test_weights_beside_the_settings_file_are_found_from_anywhere(monkeypatch, tmp_path, named, is_path):
    for folder in ("clip", "openai", "general"):
        (tmp_path / "shop" / folder).mkdir(parents=True)
    (tmp_path / "shop" / "clip" / "model.safetensors").touch()
    (tmp_path / "shop" / "eiclip.toml").write_text(f'pretrained = "{named}"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EICLIP_SETTINGS", "shop/eiclip.toml")
    assert load_settings().pretrained == (str(tmp_path / "shop" / named) if is_path else named)


def test_a_click_log_has_an_encoding_of_its_own():
    columns = {"encoding": "cp1252"}
    shop = load_settings(datasets={"shop": {"kind": "amazon", "same_style": {"columns": columns}}}).datasets["shop"]
    assert shop.same_style is not None
    assert shop.same_style.columns.encoding == "cp1252"
    with pytest.raises(
        SettingsError, match=r"same_style\.columns\.encoding: 'utf-16' is none that Python reads line by"
    ):
        load_settings(datasets={"shop": {"kind": "amazon", "same_style": {"columns": {"encoding": "utf-16"}}}})


@pytest.mark.parametrize(
    ("entry", "embedded"),
    [
        ({"kind": "amazon"}, True),
        ({"kind": "fashiongen", "folder": "/x"}, False),
        ({"kind": "amazon", "metadata": "/x", "images": "/y"}, False),
        ({"kind": "amazon", "metadata": "/x", "download": {}}, False),
        ({"kind": "table", "files": "/x/*.parquet"}, False),
    ],
)
def test_a_dataset_without_files_is_the_synthetic_one(entry, embedded):
    settings = load_settings(datasets={"shop": entry})
    assert settings.datasets["shop"].embedded == embedded
    assert settings.pretrained == ("general" if embedded else "openai")


def test_an_entry_without_a_kind_changes_a_dataset_that_is_there_anyway(monkeypatch, tmp_path):
    (tmp_path / "mine.toml").write_text("[datasets.fashiongen.rows.eiclip]\ntower_lr = 1e-4\n")
    monkeypatch.setenv("EICLIP_SETTINGS", str(tmp_path / "mine.toml"))
    drawn = load_settings()
    assert list(drawn.datasets) == ["fashiongen", "amazon", "styles"]
    assert drawn.datasets["fashiongen"].rows["eiclip"].tower_lr == 1e-4
    assert drawn.training.epochs == SMALL_RECIPE["epochs"]
    monkeypatch.setenv("EICLIP_FASHIONGEN_DIR", "/real")
    real = load_settings().datasets
    assert list(real) == ["fashiongen"]
    assert (real["fashiongen"].folder, real["fashiongen"].rows["eiclip"].tower_lr) == ("/real", 1e-4)
    monkeypatch.delenv("EICLIP_FASHIONGEN_DIR")
    with pytest.raises(SettingsError, match=r"datasets\.shop needs a `kind`.*fashiongen"):
        load_settings(datasets={"shop": {"training": {"epochs": 2}}})


def test_an_empty_download_section_is_enough(monkeypatch, tmp_path):
    table = '[datasets.shop]\nkind = "amazon"\nmetadata = "m.json.gz"\nsubset = "paper"\n[datasets.shop.download]\n'
    (tmp_path / "mine.toml").write_text(table)
    monkeypatch.setenv("EICLIP_SETTINGS", str(tmp_path / "mine.toml"))
    shop = load_settings().datasets["shop"]
    assert shop.download == DownloadSettings()
    assert not shop.download.allow_private
    assert (shop.subset, shop.part_rows) == ("paper", 20_000)


@pytest.mark.parametrize("scale", [[1.8, 1.0], [0.0, 1.0], [0.9, 0.8], [0.5, 1.5]])
def test_a_crop_keeps_a_share_of_the_photo(scale):
    with pytest.raises(SettingsError, match="no shares of a photo's area"):
        load_settings(training={"augment": {"scale": scale}})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"price": "p", "currency": "euro"}, "columns.currency: 'euro' is no ISO 4217 code such as EUR"),
        ({"price": "p", "decimal": ";"}, "decimal"),
        ({"currency": "EUR"}, "name their column as columns.price"),
        ({"decimal": ","}, "name their column as columns.price"),
    ],
)
def test_a_currency_is_a_code_and_of_prices(columns, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(datasets={"shop": {"kind": "table", "files": "x.csv", "columns": columns}})
    known = {"price": "p", "currency": "EUR", "decimal": ","}
    columns = (
        load_settings(datasets={"shop": {"kind": "table", "files": "x.csv", "columns": known}}).datasets["shop"].columns
    )
    assert (columns.currency, columns.decimal) == ("EUR", ",")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"columns": {"attributes": {"brand": "b"}}}, "'brand' is an entity group, by which search"),
        ({"columns": {"attributes": {"price": "p"}}}, "'price' is an entry of its own; name its column as columns"),
        ({"columns": {"attributes": {"availability": "stock"}}}, "name its column as columns.availability"),
        ({"columns": {"attributes": {"a=b": "x"}}}, "columns.attributes: 'a=b' is no name; use letters"),
        ({"shop_url": "javascript:alert({product_id})"}, "shop_url: 'javascript.*' is no http or https address"),
        ({"shop_url": "https://{product_id}"}, "is no http or https address such as https://shop.example/p/"),
        ({"shop_url": "https://shop.example/{sku}"}, "is no http or https address"),
        ({"shop_url": "https://shop.example/p"}, "is one page for all products; put {product_id} where the id goes"),
    ],
)
def test_attributes_have_names_of_their_own_and_a_page_an_address(entry, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(datasets={"shop": {"kind": "table", "files": "x.csv"} | entry})


def test_attributes_are_parted_by_separators_and_added_to_those_of_a_preset():
    columns = {"attributes": {"fit": "Fit"}, "separators": {"fit": "|"}}
    entry = {"kind": "table", "files": "x.csv", "preset": "google_merchant", "columns": columns,
             "shop_url": "http://shop.example/p?id={product_id}"}  # fmt: skip
    shop = load_settings(datasets={"shop": entry}).datasets["shop"]
    assert shop.layouts[0].attributes == {"size": "size", "fit": "Fit"}
    assert {"size", "availability", "link"} <= set(shop.layouts[0].optional)
    assert "Fit" not in shop.layouts[0].optional
    assert shop.shop_url == "http://shop.example/p?id={product_id}"
