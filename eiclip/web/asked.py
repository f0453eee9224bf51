"""What the page sends and what it gets: JSON to queries, answers to JSON."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from eiclip.errors import SettingsError
from eiclip.search import Answer, Query, View
from eiclip.web.engines import Opened

MOST_SHOWN = 100
Name = Annotated[str, StringConstraints(max_length=500)]
Chosen = Annotated[dict[Name, Name], Field(max_length=20)]


class Asked(BaseModel):
    """A query as the page sends it, without its photo: the fields of `Query`. The search itself cuts long texts."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    text: str = ""
    product_id: Name | None = None
    entities: Chosen = {}
    filters: Annotated[dict[Name, Annotated[tuple[Name, ...], Field(max_length=50)]], Field(max_length=20)] = {}
    negative: str = ""
    remove: Chosen = {}
    add: Chosen = {}
    image_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    view: View = "joint"
    top: Annotated[int, Field(ge=1, le=MOST_SHOWN)] = 24
    link: bool = True
    unlink: Annotated[tuple[Name, ...], Field(max_length=100)] = ()

    def query(self, photo: bytes | None) -> Query:
        """The query with its photo. Raises SettingsError where nothing is asked."""
        return Query(image=photo, **self.model_dump())


def read_asked(sent: str | bytes) -> Asked:
    """What was sent.

    Raises:
        SettingsError: it is not JSON, or a field is not what it has to be; names the first.
    """
    try:
        return Asked.model_validate_json(sent or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise SettingsError(f"the query{f', {where}' if where else ''}: {first['msg']}") from error


def told(opened: Opened, query: Query, answer: Answer) -> dict[str, Any]:
    """An answer as the page gets it: the answer's own fields, and what to show beside them."""
    index = opened.engine.index
    found = asdict(answer) | {"products": len(index), "variant": index.variant, "like": None}
    if query.product_id is not None:
        fact = index.facts_of([index.row(query.product_id)])[0]
        found["like"] = {"product_id": query.product_id, "title": fact["title"] or "", "image_id": fact["image_id"]}
    return found


def described(opened: Opened) -> dict[str, Any]:
    """What can be asked of a dataset and variant."""
    engine = opened.engine
    kind = engine.model.model.variant
    return {
        "dataset": engine.index.dataset,
        "variant": engine.index.variant,
        "products": len(engine.index),
        "reads_entities": kind.has_entities or kind.entities_as_text,
        "has_gates": engine.model.model.fusion is not None,
        "entity_groups": opened.entity_groups,
        "groups": opened.entity_groups + [group for group in opened.values if group not in opened.entity_groups],
        "examples": opened.examples(),
    }
