"""The server: the search page and what it asks for, and `/search` and `/embed` for others (`/openapi.json`)."""

import hashlib
import importlib.metadata
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from eiclip.errors import EiclipError, RawDataError, SettingsError
from eiclip.model.variants import get_variant
from eiclip.web.clicks import ClickForm, ClickLog
from eiclip.web.engines import Engines, NotNowError, NotThereError, OpenedEngine
from eiclip.web.limits import FIELD_BYTES, PHOTO_BYTES, TOO_LARGE, Limits
from eiclip.web.messages import (
    MOST_TEXTS,
    EmbedForm,
    Form,
    QueryForm,
    Refusal,
    SearchAnswer,
    SearchForm,
    Vectors,
    answer_message,
    catalogue_message,
    read_form,
    read_query,
    vectors_message,
)
from eiclip.web.searchers import Searchers

LOG = logging.getLogger("eiclip.web")
Returned = TypeVar("Returned")
PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def _refuse_other_sites(request: Request) -> None:
    """Refuse what another site's page has a browser ask: it could not read the answer, yet had it worked out."""
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise HTTPException(403, "asked by a page of another site")


def _engines(request: Request) -> Engines:
    engines: Engines = request.app.state.engines
    return engines


def _body(model: type[BaseModel], photos: int) -> dict[str, Any]:
    """Return what the documentation says of a request's body: the handler reads it itself, within the limits."""
    schema = model.model_json_schema()
    photo = {"type": "string", "format": "binary", "description": "JPEG, PNG or WEBP"}
    several = photo if photos == 1 else {"type": "array", "items": photo, "maxItems": photos}
    form = {"type": "object", "properties": {"query": schema, "photo": several}}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


WRONG: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "A field, a photo or the whole makes no sense"},
    404: {"model": Refusal, "description": "No such dataset or variant"},
    413: {"model": Refusal, "description": "Larger than the limit"},
    415: {"model": Refusal, "description": "Neither JSON nor a form"},
    503: {"model": Refusal, "description": "The home cannot be searched now; the server's log says why"},
}
public = APIRouter(dependencies=[Depends(_refuse_other_sites)], responses=WRONG)
api = APIRouter(prefix="/api", dependencies=[Depends(_refuse_other_sites)], include_in_schema=False)
HomeEngines = Annotated[Engines, Depends(_engines)]


def create_app(engines: Engines, hosts: Sequence[str] = LOOPBACK, log: ClickLog | None = None) -> FastAPI:
    """Return the server of these engines as an ASGI application.

    `hosts` are the names that a request's Host header may have ("*": any). They refuse a page of another site whose
    name was made to point to this machine. `log` gets what visitors click; None: nothing is recorded.
    """
    # Documented by /openapi.json; FastAPI's pages of it take their scripts from elsewhere.
    version = importlib.metadata.version("eiclip")
    app = FastAPI(title="Product search", version=version, docs_url=None, redoc_url=None)
    app.state.engines, app.state.searchers, app.state.log = engines, Searchers(), log
    app.include_router(public)
    app.include_router(api)
    app.add_api_route("/", lambda: FileResponse(PAGE / "index.html"), include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE))
    for kind in (EiclipError, AnyHTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _error_response)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(Limits)
    return app


def _error_response(request: Request, error: Exception) -> Response:
    """Say what is wrong with a request; what is wrong with the home is logged, for it names paths."""
    match error:
        case NotThereError():
            status, message = 404, str(error)
        case NotNowError():
            LOG.error("%s %s: %s", request.method, request.url.path, error.__cause__)
            status, message = 503, str(error)
        case SettingsError() | RawDataError():
            status, message = 400, str(error).removeprefix("photo 0: ")
        case EiclipError():
            LOG.error("%s %s: %s", request.method, request.url.path, error)
            status, message = 503, "this catalogue cannot be searched now; the server's log says why"
        case AnyHTTPException():
            status, message = error.status_code, str(error.detail)
        case RequestValidationError():
            first = error.errors()[0]
            status, message = 422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}"
        case _:  # the server logs it with its trace
            status, message = 500, "something went wrong on the server; its log says what"
    headers = {"Connection": "close"} if status == 413 else {}  # the rest of the body is not read
    return JSONResponse({"error": message}, status, headers)


@api.get("/catalogues")
def catalogues(engines: HomeEngines, request: Request) -> dict[str, Any]:
    """Return datasets and their variants, those to be shown first first, and whether clicks are recorded."""
    datasets = []
    for name, variants in engines.available().items():
        shown = [{"name": variant, "title": get_variant(variant).title} for variant in variants]
        datasets.append({"name": name, "variants": shown})
    return {"datasets": datasets, "records_clicks": request.app.state.log is not None}


@api.get("/photo/{dataset}")
def photo(engines: HomeEngines, request: Request, dataset: str, product: str) -> Response:
    """Return a product's first photo, as training saw it."""
    content = engines.photo(dataset, product)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=60"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/jpeg", headers=headers)


@api.get("/catalogue/{dataset}/{variant}")
def catalogue(engines: HomeEngines, dataset: str, variant: str) -> dict[str, Any]:
    """Return what can be asked of a dataset and variant, which is opened by it."""
    return catalogue_message(engines.get(dataset, variant))


@api.get("/values/{dataset}/{variant}")
def values(engines: HomeEngines, dataset: str, variant: str, group: str, typed: str = "") -> list[dict[str, Any]]:
    """Return values of a group that go with what was typed."""
    return engines.get(dataset, variant).find(group, typed[:200])


@api.get("/suggest/{dataset}/{variant}")
def suggest(engines: HomeEngines, dataset: str, variant: str, typed: str = "") -> list[dict[str, Any]]:
    """Return texts that begin as what was typed: its last words become an entity, or it becomes a product's title."""
    return engines.get(dataset, variant).suggest(typed[:200])


@api.post("/click/{dataset}/{variant}")
def click(engines: HomeEngines, request: Request, dataset: str, variant: str, form: ClickForm) -> dict[str, bool]:
    """Record what was done with a product."""
    log: ClickLog | None = request.app.state.log
    if log is None:
        raise NotThereError("clicks are not recorded here")
    index = engines.get(dataset, variant).engine.index
    index.row(form.product_id)
    try:
        log.add(form, index.dataset, index.variant)
    except OSError as error:
        raise NotNowError("the click cannot be recorded; the server's log says why") from error
    return {"recorded": True}


@api.post("/search/{dataset}/{variant}")
async def page_search(engines: HomeEngines, request: Request, dataset: str, variant: str) -> dict[str, Any]:
    """Return what `/search` does, for the page: the address says where."""
    form, photos = await _asked(request, QueryForm, 1)
    return await _search(request, await run_in_threadpool(engines.get, dataset, variant), form, photos)


@public.post("/search", response_model=SearchAnswer, openapi_extra=_body(SearchForm, 1))
async def search(engines: HomeEngines, request: Request) -> dict[str, Any]:
    """Find products by words, a photo, entities, another product, or several of them at once."""
    form, photos = await _asked(request, SearchForm, 1)
    return await _search(request, await run_in_threadpool(engines.chosen, form.dataset, form.variant), form, photos)


@public.post("/embed", response_model=Vectors, openapi_extra=_body(EmbedForm, MOST_TEXTS))
async def embed(engines: HomeEngines, request: Request) -> dict[str, Any]:
    """Embed texts with their entities, photos, and pairs of both, as the products' own vectors were made."""
    form, photos = await _asked(request, EmbedForm, MOST_TEXTS)
    if not (form.texts or photos):
        raise SettingsError("nothing to embed: give texts, or photos in a form")
    opened = await run_in_threadpool(engines.chosen, form.dataset, form.variant)
    return await _encoding(request, vectors_message, opened, form, photos)


async def _search(request: Request, opened: OpenedEngine, form: QueryForm, photos: list[bytes]) -> dict[str, Any]:
    query = read_query(form, photos[0] if photos else None)
    return answer_message(opened, query, await _encoding(request, opened.engine.search, query))


async def _encoding(request: Request, work: Callable[..., Returned], *given: Any) -> Returned:
    searchers: Searchers = request.app.state.searchers
    return await searchers.run(work, *given)


async def _asked(request: Request, model: type[Form], most: int) -> tuple[Form, list[bytes]]:
    """Return what a request asks, of JSON or of a form with the field `query` (JSON), and the form's files `photo`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        if len(body := await request.body()) > FIELD_BYTES:
            raise HTTPException(413, f"the JSON is larger than {FIELD_BYTES // 2**10} KB")
        return read_form(model, body), []
    if kind != "multipart/form-data":
        wanted = "a form (multipart/form-data) with the field query and, if any, files named photo"
        raise HTTPException(415, f"send JSON (application/json), or {wanted}")
    async with request.form(max_files=most, max_fields=4, max_part_size=FIELD_BYTES) as form:
        fields, files = form.get("query", "{}"), form.getlist("photo")
        if isinstance(fields, UploadFile) or not all(isinstance(file, UploadFile) for file in files):
            raise HTTPException(400, "query is a text field of the form, photo a file")
        photos = [await file.read() for file in files if isinstance(file, UploadFile)]
    if sum(map(len, photos)) > PHOTO_BYTES:
        raise HTTPException(413, TOO_LARGE)
    if not all(photos):
        raise HTTPException(400, "the photo is an empty file")
    return read_form(model, fields), photos
