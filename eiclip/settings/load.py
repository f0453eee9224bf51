"""Settings: from the environment (`EICLIP_...`) and a TOML file, with defaults that run the synthetic catalogue.

Order of precedence: environment variables (nested ones as `EICLIP_TRAINING__EPOCHS=12`), then the TOML file named by
`EICLIP_SETTINGS` (default `eiclip.toml`, where present), then the defaults here. A run configuration given to Dagster
(`-c configs/paper.yaml`) overrides the `training` section for that run.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import PydanticBaseSettingsSource as Source

from eiclip.errors import SettingsError
from eiclip.settings.alert import AlertSettings, without_alert
from eiclip.settings.presets import ALWAYS, PRESETS
from eiclip.settings.queries import QuerySettings
from eiclip.settings.same_style import Location, SameStyleSettings
from eiclip.settings.section import Section
from eiclip.settings.training import (
    LENGTHS,
    TRAINED_ROWS,
    HardwareSettings,
    RowSettings,
    TrainingSettings,
    TuneSettings,
    layered,
)


class DownloadSettings(Section):
    """How photos are fetched from the URLs that the raw files hold."""

    concurrency: int = Field(16, ge=1, le=256)
    retries: int = Field(3, ge=0, le=10)  # tries after the first, on temporary errors: no answer, 429 and 5xx
    timeout: float = Field(20.0, gt=0)  # seconds a whole try may take
    max_bytes: int = Field(20 * 2**20, gt=0)
    allow_private: bool = False  # fetch from loopback, private and link-local addresses too (a shop's own network)


ONE_COLUMN = (
    "product_id", "title", "photo", "split", "category", "subcategory", "department", "gender", "pose", "price",
    "style", "availability", "link",
)  # fmt: skip
"""Entries of `ColumnSettings` that name a column each."""
FILTERS = (*ONE_COLUMN, "entities", "currency")
"""Names that no attribute has: search may filter by them already."""


MAPS = ("entities", "attributes", "separators")
"""Entries that are maps: of a preset's and one's own, both count."""


class ColumnSettings(Section):
    """Which columns of a table (Parquet, CSV, JSON) hold what. Only the id, a text and the photo are needed."""

    product_id: str = "product_id"
    title: str | None = None
    description: tuple[str, ...] = ()  # columns whose texts are joined, in this order
    photo: str = "photo"
    """A column of paths below `images`, URLs or the photos' bytes; or a template with columns in it (`{sku}.jpg`)."""
    split: str | None = None  # 'train' or 'test'; without it test products are drawn
    category: str | None = None
    subcategory: str | None = None
    department: str | None = None
    gender: str | None = None
    pose: str | None = None
    price: str | None = None
    currency: str | None = None
    """ISO 4217 code of the prices, such as `EUR`; None: the one that most of them name."""
    decimal: Literal[".", ","] | None = None
    """The prices' decimal mark; None: that of the prices that can only mean one thing."""
    availability: str | None = None  # whether it is in stock: a word, true or false, or a quantity
    link: str | None = None  # the address of the product's page, http or https
    style: str | None = None
    """Which products are truly of one style: same-style retrieval is measured by it, and never trained on it."""
    entities: dict[str, str] = Field(default_factory=dict)  # entity group -> column
    attributes: dict[str, str] = Field(default_factory=dict)
    """Attribute -> column: what search filters by and counts, and no model learns, such as sizes."""
    separators: dict[str, str] = Field(default_factory=dict)
    """Entity group or attribute -> what parts several values in a text ("black|white"); a list column needs none."""
    optional: tuple[str, ...] = ()
    """Columns named above that a file may lack; those of `entity_groups` it may not."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are named, each once."""
        one = (getattr(self, name) for name in ONE_COLUMN)
        found = (*one, *self.description, *self.entities.values(), *self.attributes.values())
        return tuple(dict.fromkeys(filter(None, found)))

    def over(self, preset: dict[str, Any]) -> "ColumnSettings":
        """Return the columns of a layout of `PRESETS`, of which a file may lack some, with what is set here instead."""
        own = self.model_dump(exclude_unset=True)
        groups = {name: preset.get(name, {}) | own.get(name, {}) for name in MAPS}
        needed = {preset[name] for name in ALWAYS} | set(ColumnSettings(**own).names)
        optional = [name for name in ColumnSettings(**preset).names if name not in needed]
        return ColumnSettings(**(preset | own | groups | {"optional": (*self.optional, *optional)}))

    @field_validator("photo")
    @classmethod
    def _whole_template(cls, photo: str) -> str:
        if re.search("[{}]", re.sub(r"\{[^{}]+\}", "", photo)):
            raise ValueError(f"{photo!r} is no template: a column's name goes in braces, such as {{sku}}.jpg")
        return photo


class DatasetSettings(Section):
    """One catalogue: which reader, where its raw files lie, and which tags are entities.

    `folder` is for `fashiongen` (the two `.h5` files), `metadata`, `images` and `reviews` for `amazon`, `files`,
    `images` and `columns` for `table`. Each is a path or a URL that fsspec knows. With none of them the raw files are
    the synthetic catalogue's, written under the home first; `styles` is always one of those.
    """

    kind: Literal["fashiongen", "amazon", "table", "styles"]
    folder: Location | None = None
    metadata: Location | None = None
    images: Location | None = None
    reviews: Location | None = None  # reviews of the products: counts and mean ratings are joined to them
    helpful_reviews: int = Field(0, ge=0, le=20)
    """How many reviews' texts, the most helpful first, are added to a description."""
    files: Location | None = None  # the table: a file, or a pattern such as `exports/*.parquet`
    columns: ColumnSettings = ColumnSettings()
    preset: Literal["shopify", "woocommerce", "google_merchant"] | None = None
    """The program that wrote the table: its columns are known, and `columns` says what differs."""
    encoding: str | None = None
    """Of the table's texts, such as `cp1252`; None: UTF-8, or of a CSV file what most of its lines are in."""
    shop_url: str | None = None
    """Address of a product's page that no column gives: `https://shop.example/p/{product_id}`."""
    download: DownloadSettings | None = None
    """Set (even empty): photos that are not in `images` are downloaded from their URLs."""
    publish: Location | None = None
    """Where the shards are published as well (`s3://bucket/shards`), whole: content first, the manifest last."""
    subset: Literal["all", "paper"] = "all"
    """`paper`: the fashion products alone that have brand, photo and text, as in the paper's Amazon experiment."""
    part_rows: int = Field(20_000, ge=1)  # raw rows a part: photos are examined and shards made part by part
    entity_groups: tuple[str, ...] = ("brand",)  # the first names the makers
    fold_entities: bool = True
    """Whether ways to write a name that differ in case, accents, punctuation and the like are one entity."""
    synonyms: Location | None = None
    """A CSV file with the columns `spelling` and `entity`: which spelling means which entity (none where empty)."""
    placeholders: tuple[str, ...] = ()
    """Texts that say nothing, beside `NULL`, `n/a`, `#N/A`, `no brand` and the like: no titles and no entities."""
    table_1: bool = True
    """Whether rows 1 to 6 are trained on it; False: for same-style retrieval alone."""
    same_style: SameStyleSettings | None = None  # set: same-style retrieval is learned from its clicks
    queries: QuerySettings = QuerySettings()
    """What search is measured with: generated queries, and a file of the shop's own where it is named."""
    negatives_group: str = "subcategory"
    """What sample-100's negatives share with the query; where it is an entity group, the model goes without it."""
    test_share: float = Field(0.3, ge=0, lt=1)
    """Share of products held out for test, where the raw files define no split."""
    validation_share: float = Field(0.1, gt=0, lt=1)  # share of the remaining products held out for choosing settings
    training: dict[str, Any] = Field(default_factory=dict)
    """Values of the `training` section that differ for this catalogue (a small one needs more epochs)."""
    rows: dict[str, RowSettings] = Field(default_factory=dict)
    """Rates that differ for one row, by variant: what the job `tune` chooses."""

    @model_validator(mode="after")
    def _whole(self) -> "DatasetSettings":
        if self.kind == "amazon" and self.metadata and not self.images and self.download is None:
            raise ValueError("an amazon dataset needs `images` (a folder of <id>.jpg), or `download` to fetch them")
        if self.kind == "amazon" and self.images and not self.metadata:
            raise ValueError("an amazon dataset needs both `metadata` and `images`, or neither (synthetic)")
        if self.kind == "table" and not self.files:
            raise ValueError("a table dataset needs `files`: a Parquet, CSV or JSON file, or a pattern of them")
        if self.preset is not None and self.kind != "table":
            raise ValueError(f"preset is for a table; the files of kind {self.kind!r} have columns of their own")
        if self.encoding is not None and self.kind != "table":
            raise ValueError(f"encoding is for a table; the files of kind {self.kind!r} have one of their own")
        _check_encoding("encoding", self.encoding)
        _check_encoding("queries.encoding", self.queries.encoding)
        if self.same_style is not None:
            _check_encoding("same_style.columns.encoding", self.same_style.columns.encoding)
        _check_prices(self.columns)
        _check_attributes(self.columns, self.entity_groups)
        _check_shop_url(self.shop_url)
        for group, separator in self.columns.separators.items():
            if group not in (there := (*self.entity_groups, *self.columns.attributes)):
                raise ValueError(
                    f"columns.separators: {group!r} is no entity group or attribute; choose from {', '.join(there)}"
                )
            if not separator:
                raise ValueError(
                    f"columns.separators: that of {group!r} is empty; give one such as '|', or leave it out"
                )
        if not self.table_1 and self.same_style is None:
            raise ValueError("table_1 is false without a `same_style` section: nothing would be made of the dataset")
        unknown = set(self.training) - set(TrainingSettings.model_fields)
        if unknown:
            raise ValueError(f"training: unknown {', '.join(sorted(unknown))}")
        if no_rows := sorted(set(self.rows) - set(TRAINED_ROWS)):
            raise ValueError(f"rows: unknown {', '.join(no_rows)}; there are {', '.join(TRAINED_ROWS)}")
        return self

    @property
    def brand_group(self) -> str:
        """The group that names makers, which breakdowns and typed queries go by."""
        return next(iter(self.entity_groups), "")

    @property
    def layouts(self) -> tuple[ColumnSettings, ...]:
        """What the columns may be, the usual first: several where the preset's program has written several headers."""
        return tuple(map(self.columns.over, PRESETS[self.preset])) if self.preset else (self.columns,)

    @property
    def embedded(self) -> bool:
        """Whether the raw files are those of the synthetic catalogue."""
        return self.folder is None and self.metadata is None and self.files is None


def _check_encoding(setting: str, encoding: str | None) -> None:
    """Raise ValueError for an encoding that lines cannot be found in."""
    if encoding is None:
        return
    try:
        is_readable = '\n,"'.encode(encoding) == b'\n,"'
    except (LookupError, UnicodeError):
        is_readable = False
    if not is_readable:
        raise ValueError(
            f"{setting}: {encoding!r} is none that Python reads line by line; choose utf-8, cp1252, gb18030, ..."
        )


def _check_prices(columns: ColumnSettings) -> None:
    """Raise ValueError for a currency that is no code, and for what is said of prices that no column holds."""
    if columns.currency is not None and not re.fullmatch("[A-Z]{3}", columns.currency):
        raise ValueError(f"columns.currency: {columns.currency!r} is no ISO 4217 code such as EUR or USD")
    if columns.price is None and (columns.currency or columns.decimal):
        raise ValueError("columns.currency and columns.decimal are of prices: name their column as columns.price")


def _check_attributes(columns: ColumnSettings, groups: tuple[str, ...]) -> None:
    """Raise ValueError for an attribute without a usable name, or with that of something else to filter by."""
    for name in columns.attributes:
        if not re.fullmatch(r"\w[\w -]*", name):
            raise ValueError(f"columns.attributes: {name!r} is no name; use letters, digits, '_', '-' and spaces")
        if name in groups:
            raise ValueError(f"columns.attributes: {name!r} is an entity group, by which search filters already")
        if name in FILTERS:
            raise ValueError(f"columns.attributes: {name!r} is an entry of its own; name its column as columns.{name}")


def _check_shop_url(url: str | None) -> None:
    """Raise ValueError for a template that makes no address of a web page."""
    if url is None:
        return
    if not re.match(r"https?://[^/\s{}]+", url) or re.search("[{}\\s]", url.replace("{product_id}", "")):
        example = "https://shop.example/p/{product_id}"
        raise ValueError(f"shop_url: {url!r} is no http or https address such as {example}")
    if "{product_id}" not in url:
        raise ValueError(f"shop_url: {url!r} is one page for all products; put {{product_id}} where the id goes")


FASHIONGEN = DatasetSettings(kind="fashiongen", entity_groups=("brand", "subcategory", "season", "composition"))
AMAZON = DatasetSettings(kind="amazon")
STYLES = DatasetSettings(
    kind="styles",
    columns=ColumnSettings(
        product_id="sku", title="name", description=("description",), category="category", subcategory="subcategory",
        gender="gender", price="price", style="style",
        entities={name: name for name in ("brand", "colour", "season", "composition")},
    ),
    entity_groups=("brand", "subcategory", "colour", "composition"),
    table_1=False,
    same_style=SameStyleSettings(),
)  # fmt: skip

SMALL_RECIPE: dict[str, Any] = {
    "epochs": 3, "batch_size": 64, "tower_lr": 1e-3, "entity_lr": 3e-3, "gate_lr": 2e-2, "gate_freeze": 0.15,
    "warmup_steps": 30, "cross": {"width": 128, "queries": 200},
}  # fmt: skip
"""How the small `general` model is trained instead: chosen on validation splits, see docs/decisions.md."""
SIZED = ("epochs", "batch_size", "warmup_steps", "cross")
"""What of it is for the synthetic catalogue's size: for real data it is chosen by theirs."""
STARTER_RECIPE: dict[str, Any] = {
    "image_tower": "heads", "text_tower": "heads", "head_lr": 1e-3, "entity_lr": 1e-3, "gate_lr": 5e-3,
}  # fmt: skip
"""How the `starter` towers are trained: their heads, on features that are computed once. See docs/decisions.md."""


class EmbeddedSettings(Section):
    """Size of the synthetic catalogue (products, products, products, styles) and of the general corpus."""

    fashiongen_train: int = Field(3400, ge=20)
    fashiongen_test: int = Field(800, ge=10)
    amazon: int = Field(2200, ge=20)
    styles: int = Field(900, ge=20)
    general_images: int = Field(6000, ge=64)
    pretraining_epochs: int = Field(8, ge=1)


class _TomlFile(TomlConfigSettingsSource):
    """The TOML file, whose relative paths begin where it lies, wherever the command is run."""

    def __call__(self) -> dict[str, Any]:
        found, folder = super().__call__(), Path(str(self.toml_file_path)).absolute().parent
        datasets = found.get("datasets")
        entries = (
            [entry for entry in datasets.values() if isinstance(entry, dict)] if isinstance(datasets, dict) else []
        )
        within = [
            (entry[section], names)
            for section, names in (("same_style", ("log",)), ("queries", ("file", "texts")))
            for entry in entries
            if isinstance(entry.get(section), dict)
        ]
        given = [(found, _HOME_PLACES), *((entry, _PLACES) for entry in entries), *within]
        for section, names in given:
            for name in names:
                if isinstance(place := section.get(name), str) and "://" not in place:
                    section[name] = str(folder / Path(place).expanduser())
        weights = found.get("pretrained")  # a tag, a hub's name, or a path
        is_there = isinstance(weights, str) and {"/", "."} & set(weights) and (folder / weights).exists()
        if isinstance(weights, str) and (is_there or weights.startswith((".", "~"))):
            found["pretrained"] = str(folder / Path(weights).expanduser())
        return found


_HOME_PLACES = ("home", "fashiongen_dir", "amazon_meta", "amazon_images")
_PLACES = ("folder", "metadata", "images", "reviews", "files", "publish", "synonyms")
_NAME = re.compile(r"[A-Za-z0-9_]+")


class Settings(BaseSettings):
    """All settings of a home. Read once per process with `load_settings`."""

    model_config = SettingsConfigDict(env_prefix="EICLIP_", env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path = Path("data")
    seed: int = Field(0, ge=0)
    fashiongen_dir: Location | None = None
    amazon_meta: Location | None = None
    amazon_images: Location | None = None
    datasets: dict[str, DatasetSettings] = {}
    pretrained: str | None = None
    """`general`, a released tag of open_clip (`openai`), a local file or folder of weights, or `hf-hub:org/name`."""
    model: str = "ViT-B-32"
    """open_clip's name of the towers; not used with `general` or a folder, which bring their own."""
    photos: Literal["own", "pad"] = "own"
    """How photos are made square: as the towers were trained (most crop them at the centre), or whole, on white."""
    training: TrainingSettings = TrainingSettings()
    hardware: HardwareSettings = HardwareSettings()
    tune: TuneSettings = TuneSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    alert: AlertSettings = Field(AlertSettings(), exclude=True)
    report_port: int = Field(3001, ge=0, le=65535, exclude=True)
    """Where `make ui` serves the report, on 127.0.0.1, for the link on its asset; 0: nowhere."""
    settings: Path | None = None  # where the TOML file lies (only from the environment)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Source, env_settings: Source, *_: Any, **__: Any
    ) -> tuple[Source, ...]:
        """Arguments first (tests), then the environment, then the TOML file."""
        file = Path(os.environ.get("EICLIP_SETTINGS", "eiclip.toml"))
        return init_settings, env_settings, _TomlFile(settings_cls, toml_file=file)

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Fill in what depends on other settings: datasets, the weights to start from, the recipe for these."""
        training, datasets = given.get("training") or {}, given.get("datasets") or {}
        training = training if isinstance(training, dict) else training.model_dump()
        # An entry without a kind changes one of those that there are without any entry, such as `fashiongen`.
        changes = {name: e for name, e in datasets.items() if isinstance(e, dict) and "kind" not in e}
        datasets = {name: entry for name, entry in datasets.items() if name not in changes}
        if not datasets:
            folder, metadata, images = (given.get(name) for name in ("fashiongen_dir", "amazon_meta", "amazon_images"))
            if bool(metadata) != bool(images):
                raise ValueError("EICLIP_AMAZON_META and EICLIP_AMAZON_IMAGES go together: set both or neither")
            if folder:
                datasets["fashiongen"] = FASHIONGEN.model_copy(update={"folder": str(folder)})
            if metadata:
                datasets["amazon"] = AMAZON.model_copy(update={"metadata": str(metadata), "images": str(images)})
        if not datasets:  # the synthetic ones: those smaller than the first have more epochs, unless a length is set
            longer = {"training": {} if any(training.get(name) for name in LENGTHS) else {"epochs": 6}}
            smaller = {"amazon": AMAZON.model_copy(update=longer), "styles": STYLES.model_copy(update=longer)}
            datasets = {"fashiongen": FASHIONGEN, **smaller}
        for name in (*datasets, *changes):
            if not _NAME.fullmatch(name):
                raise ValueError(f"datasets.{name}: a dataset's name has letters from a to z, digits and '_' alone")
        for name, entry in changes.items():
            if name not in datasets:
                raise ValueError(f"datasets.{name} needs a `kind`: without one it changes {', '.join(datasets)} only")
            datasets[name] = DatasetSettings.model_validate(datasets[name]).model_dump() | entry
        real = any(not DatasetSettings.model_validate(entry).embedded for entry in datasets.values())
        pretrained = given.get("pretrained") or ("openai" if real else "general")
        recipe = {"general": SMALL_RECIPE, "starter": STARTER_RECIPE}.get(pretrained, {})
        recipe = {name: value for name, value in recipe.items() if not real or name not in SIZED}
        if cross := training.get("cross"):
            training = training | {"cross": recipe.get("cross", {}) | cross}
        return given | {"datasets": datasets, "pretrained": pretrained, "training": layered(recipe, training)}


def load_settings(**given: Any) -> Settings:
    """Read the settings; `given` takes precedence over the environment and the file.

    Raises:
        SettingsError: a value is of the wrong type or out of range, or a name is unknown; says which and where from.
    """
    others = {"EICLIP_DEVICE", "EICLIP_DAGSTER_STORAGE", "EICLIP_TRAINER_MANIFEST"}  # no settings of a home
    known = {f"EICLIP_{name.upper()}" for name in Settings.model_fields} | others
    for name in os.environ:  # misspelt ones would otherwise be ignored
        if name.startswith("EICLIP_") and name.split("__")[0] not in known:
            raise SettingsError(f"{name}: no such setting; there are {', '.join(sorted(known))}")
    file = os.environ.get("EICLIP_SETTINGS")
    if file and not Path(file).is_file():
        raise SettingsError(f"EICLIP_SETTINGS={file!r}: no such file")
    try:
        settings = Settings(**given)
    except ValueError as error:
        text, cause = without_alert(error)
        raise SettingsError(f"settings (EICLIP_* variables, {file or 'eiclip.toml'}): {text}") from cause
    return settings.model_copy(update={"home": settings.home.expanduser().resolve()})
