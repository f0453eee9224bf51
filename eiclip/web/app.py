"""The server of the search page: the page's own files, what can be asked, answers, and products' photos."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from eiclip.errors import EiclipError, RawDataError, SettingsError
from eiclip.model.variants import get_variant
from eiclip.web.asked import described, read_asked, told
from eiclip.web.engines import Engines, NotThereError
from eiclip.web.limits import FIELD_BYTES, PHOTO_BYTES, TOO_LARGE, BodyLimit, SafeHeaders

LOG = logging.getLogger("eiclip.web")
PAGE = Path(__file__).parent / "page"
FILES = {file.name: file for file in PAGE.iterdir() if file.suffix in {".html", ".js", ".css", ".svg"}}
"""What is served of the page's folder, by name: nothing else is ever opened."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
OUR_FAULT = "something went wrong on the server; its log says what"
T = TypeVar("T")


def _of_this_page(request: Request) -> None:
    """Refuses what another site's page has a browser ask: it could not read the answer, yet had it worked out."""
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise HTTPException(403, "asked by a page of another site")


pages = APIRouter()
api = APIRouter(prefix="/api", dependencies=[Depends(_of_this_page)])


def create_app(engines: Engines, hosts: Sequence[str] = LOOPBACK) -> FastAPI:
    """The server as an ASGI application.

    Args:
        engines: what is searched.
        hosts: names that a request's Host header may have ("*": any). A page of another site whose name was made to
            point to this machine is refused by it.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # One thread does all encoding and comparing: two at once would only share the cores, and each thread that
        # calls torch keeps a team of workers.
        with ThreadPoolExecutor(1, "search") as searcher:
            app.state.searcher = searcher
            yield

    app = FastAPI(title="Product search", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.engines = engines
    app.include_router(pages)
    app.include_router(api)
    app.add_exception_handler(EiclipError, _refused)
    app.add_exception_handler(AnyHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _incomplete)
    app.add_exception_handler(Exception, _defect)
    app.add_middleware(BodyLimit)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(SafeHeaders)
    return app


def _error(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status)


def _refused(request: Request, error: Exception) -> Response:
    """What is wrong with a request is told; what is wrong with the home is logged, for it names paths."""
    if isinstance(error, NotThereError):
        return _error(404, str(error))
    if isinstance(error, SettingsError | RawDataError):
        return _error(400, str(error).removeprefix("photo 0: "))
    LOG.error("%s %s: %s", request.method, request.url.path, error)
    return _error(503, "this catalogue cannot be searched now; the server's log says why")


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    response = _error(error.status_code, str(error.detail))
    if error.status_code == 413:  # the rest of the body is not read
        response.headers["Connection"] = "close"
    return response


def _incomplete(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _error(422, f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}")


def _defect(request: Request, error: Exception) -> Response:
    """The server logs it with its trace; the browser gets a sentence."""
    return _error(500, OUR_FAULT)


def _engines(request: Request) -> Engines:
    engines: Engines = request.app.state.engines
    return engines


async def _alone(request: Request, work: Callable[[], T]) -> T:
    """Done by the one thread that searches."""
    return await asyncio.get_running_loop().run_in_executor(request.app.state.searcher, work)


@pages.get("/")
def page() -> Response:
    """The page."""
    return _file("index.html")


@pages.get("/page/{name}")
def page_file(name: str) -> Response:
    """A script, style sheet or drawing of the page."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in FILES:
        raise HTTPException(404, f"no file {name[:100]!r}")
    # Asked for again every time, answered by 304 where it is the same: a new version is never mixed with an old one.
    return FileResponse(FILES[name], headers={"Cache-Control": "no-cache"})


@api.get("/catalogues")
def catalogues(request: Request) -> dict[str, Any]:
    """Datasets and their variants, those to be shown first first."""
    available = _engines(request).available()
    return {
        "datasets": [
            {"name": name, "variants": [{"name": own, "title": get_variant(own).title} for own in variants]}
            for name, variants in available.items()
        ]
    }


@api.get("/photo/{dataset}")
def photo(request: Request, dataset: str, product: str) -> Response:
    """A product's first photo, as training saw it."""
    content = _engines(request).photo(dataset, product)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=3600"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/jpeg", headers=headers)


@api.get("/catalogue/{dataset}/{variant}")
def catalogue(request: Request, dataset: str, variant: str) -> dict[str, Any]:
    """What can be asked of a dataset and variant, which is opened by it."""
    return described(_engines(request).get(dataset, variant))


@api.get("/values/{dataset}/{variant}")
def values(request: Request, dataset: str, variant: str, group: str, typed: str = "") -> list[dict[str, Any]]:
    """Values of a group that go with what was typed."""
    found = _engines(request).get(dataset, variant).find(group, typed[:200])
    return [{"value": value.value, "products": value.products, "known": value.known} for value in found]


@api.post("/search/{dataset}/{variant}")
async def search(request: Request, dataset: str, variant: str) -> dict[str, Any]:
    """Products for a query: a form with the field `query` (JSON) and the file `photo`, either may be absent."""
    sent, content = await _form(request)
    opened = await run_in_threadpool(_engines(request).get, dataset, variant)
    query = read_asked(sent).query(content)
    answer = await _alone(request, lambda: opened.engine.search(query))
    return told(opened, query, answer)


async def _form(request: Request) -> tuple[str, bytes | None]:
    """The fields of a request: the query's JSON and the photo's bytes."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, "send a form (multipart/form-data) with the field query and, if any, the file photo")
    async with request.form(max_files=1, max_fields=4, max_part_size=FIELD_BYTES) as form:
        sent, file = form.get("query", "{}"), form.get("photo")
        if isinstance(sent, UploadFile) or (file is not None and not isinstance(file, UploadFile)):
            raise HTTPException(400, "query is a text field of the form, photo a file")
        content = None if file is None else await file.read()
    if content is not None and len(content) > PHOTO_BYTES:
        raise HTTPException(413, TOO_LARGE)
    if content == b"":
        raise HTTPException(400, "the photo is an empty file")
    return sent, content
