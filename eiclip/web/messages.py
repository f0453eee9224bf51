"""What the page sends and what it gets: JSON to queries, answers to JSON."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from eiclip.errors import SettingsError
from eiclip.search import Answer, Query, View
from eiclip.web.engines import OpenedEngine

Name = Annotated[str, StringConstraints(max_length=500)]
Entities = Annotated[dict[Name, Name], Field(max_length=20)]
Names = Annotated[tuple[Name, ...], Field(max_length=50)]
OneOrMore = Annotated[Names, BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]


class QueryForm(BaseModel):
    """A query as the page sends it, without its photo: the fields of `Query`. The search itself cuts long texts."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    text: str = ""
    product_id: Name | None = None
    entities: Annotated[dict[Name, OneOrMore], Field(max_length=20)] = {}
    filters: Annotated[dict[Name, Names], Field(max_length=20)] = {}
    negative: str = ""
    remove: Entities = {}
    add: Entities = {}
    image_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    view: View = "joint"
    top: Annotated[int, Field(ge=1, le=100)] = 24
    link: bool = True
    unlink: Annotated[tuple[Name, ...], Field(max_length=100)] = ()


def read_query(form: str, photo: bytes | None) -> Query:
    """Return the query of a `QueryForm` in JSON and a photo's bytes.

    Raises SettingsError where it is not JSON, nothing is asked, or a field, the first of which is named, is wrong.
    """
    try:
        fields = QueryForm.model_validate_json(form or "{}").model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise SettingsError(f"the query{f', {where}' if where else ''}: {first['msg']}") from error
    return Query(image=photo, **fields)


def answer_message(opened: OpenedEngine, query: Query, answer: Answer) -> dict[str, Any]:
    """Return an answer as the page gets it: the answer's own fields, and what to show beside them."""
    index = opened.engine.index
    like = index.facts_of([index.row(query.product_id)])[0]["title"] if query.product_id is not None else None
    return asdict(answer) | {"products": len(index), "like_title": like or ""}


def catalogue_message(opened: OpenedEngine) -> dict[str, Any]:
    """Return what can be asked of a dataset and variant."""
    index = opened.engine.index
    steering = [group for group in opened.engine.model.groups if group in opened.values]
    return {
        "dataset": index.dataset,
        "variant": index.variant,
        "products": len(index),
        "entity_groups": steering,
        "several": sorted(opened.engine.reader.linker.several),
        "groups": steering + [group for group in opened.values if group not in steering],
        "examples": opened.examples(),
    }
