"""What is asked of the server and what it answers, in JSON: `/openapi.json` is made of these."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from eiclip.errors import SettingsError
from eiclip.search import Answer, Query, View
from eiclip.search.query import MAX_QUERY, PriceRange, Ranking, Sort
from eiclip.web.engines import OpenedEngine

Name = Annotated[str, StringConstraints(max_length=500)]
Entities = Annotated[dict[Name, Name], Field(max_length=20)]
Names = Annotated[tuple[Name, ...], Field(max_length=50)]
OneOrMore = Annotated[Names, BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]
Form = TypeVar("Form", bound=BaseModel)
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
MOST_TEXTS = 64  # and photos, of one request for vectors


class QueryForm(BaseModel):
    """A query without its photo: the fields of `Query`. The search itself cuts long texts."""

    model_config = STRICT

    text: str = ""
    product_id: Name | None = None
    entities: Annotated[dict[Name, OneOrMore], Field(max_length=20)] = {}
    filters: Annotated[dict[Name, Names], Field(max_length=20)] = {}
    price: PriceRange = (None, None)
    available: bool = False
    negative: str = ""
    remove: Entities = {}
    add: Entities = {}
    image_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    view: View = "joint"
    by: Ranking = "hybrid"
    sort: Sort = "match"
    top: Annotated[int, Field(ge=1, le=100)] = 24
    offset: Annotated[int, Field(ge=0, le=10**9)] = 0
    facets: bool = False
    link: bool = True
    unlink: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    rerank: bool = False


class Place(BaseModel):
    """Whose products and whose model: needed where there are several datasets; the best variant, unless named."""

    model_config = STRICT

    dataset: Name | None = None
    variant: Name | None = None


class SearchForm(Place, QueryForm):
    """A query and where to search; photos go beside it, in a form."""


class EmbedForm(Place):
    """Texts to embed, each with the entities of a product; photos go beside them, in a form."""

    texts: Annotated[list[str], Field(max_length=MOST_TEXTS)] = []
    entities: Annotated[list[dict[Name, OneOrMore]], Field(max_length=MOST_TEXTS)] = []
    """As many as texts, or none."""
    link: bool = False
    """Read the texts as typed queries are read: entities are found in their words."""


@dataclass(frozen=True, kw_only=True)
class SearchAnswer(Answer):
    """What was found, and how the query was read."""

    dataset: str
    variant: str
    products: int
    """Products among which it was searched."""
    like_title: str
    """Title of the product asked for with `product_id`."""


class Vectors(BaseModel):
    """Vectors of length one: their inner product is the cosine."""

    dataset: str
    variant: str
    width: int
    texts: list[list[float]]
    photos: list[list[float]]
    joint: list[list[float]]
    """Of each photo with the text of the same number, as products are compared; where there are as many of both."""


class Refusal(BaseModel):
    """What is wrong, in a sentence."""

    error: str


def read_form(model: type[Form], form: str | bytes) -> Form:
    """Return what a request's JSON says.

    Raises SettingsError where it is not JSON, or a field, the first of which is named, is wrong.
    """
    try:
        return model.model_validate_json(form or "{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise SettingsError(f"the query{f', {where}' if where else ''}: {first['msg']}") from error


def read_query(form: QueryForm, photo: bytes | None) -> Query:
    """Return the query of a form and a photo's bytes. Raises SettingsError where nothing is asked."""
    return Query(image=photo, **form.model_dump(exclude=set(Place.model_fields)))


def answer_message(opened: OpenedEngine, query: Query, answer: Answer) -> dict[str, Any]:
    """Return the `SearchAnswer` of an answer."""
    index = opened.engine.index
    like = index.facts_of([index.row(query.product_id)])[0]["title"] if query.product_id is not None else None
    place = {"dataset": index.dataset, "variant": index.variant, "products": len(index)}
    return asdict(answer) | place | {"like_title": like or ""}


def vectors_message(opened: OpenedEngine, form: EmbedForm, photos: list[bytes]) -> dict[str, Any]:
    """Return the `Vectors` of texts and photos.

    Raises SettingsError for a group that the model does not have, or too many entities; RawDataError for a photo.
    """
    engine, empty = opened.engine, np.zeros((0, opened.engine.model.width), np.float32)
    if form.link and form.entities:
        raise SettingsError("give entities, or have them found in the words (link), not both")
    if form.link:
        words = [engine.reader.linked(text[:MAX_QUERY]) for text in form.texts]
        text_ND = engine.encode_words(words) if words else empty
    else:
        text_ND = engine.model.encode_text(form.texts, form.entities or None) if form.texts else empty
    image_ND = engine.model.encode_image(photos) if photos else empty
    paired = len(image_ND) == len(text_ND)
    joint_ND = engine.model.encode_joint(image_ND, text_ND) if paired and photos else empty
    found = {"texts": text_ND.tolist(), "photos": image_ND.tolist(), "joint": joint_ND.tolist()}
    return {"dataset": engine.index.dataset, "variant": engine.index.variant, "width": empty.shape[1]} | found


def catalogue_message(opened: OpenedEngine) -> dict[str, Any]:
    """Return what can be asked of a dataset and variant."""
    index = opened.engine.index
    steering = [group for group in opened.engine.model.groups if group in opened.values]
    return {
        "dataset": index.dataset,
        "variant": index.variant,
        "products": len(index),
        "entity_groups": steering,
        "groups": steering + [group for group in opened.values if group not in steering],
        "has_prices": index.facts["price"].null_count < len(index),
        "currency": index.currency,
        "reranked": opened.engine.reranked,
        "examples": opened.examples(),
    }
