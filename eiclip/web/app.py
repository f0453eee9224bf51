"""The server of the search page: the page's own files, what can be asked, answers, and products' photos."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from eiclip.errors import EiclipError, RawDataError, SettingsError
from eiclip.model.variants import get_variant
from eiclip.web.engines import Engines, NotNowError, NotThereError
from eiclip.web.limits import FIELD_BYTES, PHOTO_BYTES, TOO_LARGE, Limits
from eiclip.web.messages import answer_message, catalogue_message, read_query

LOG = logging.getLogger("eiclip.web")
PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def _refuse_other_sites(request: Request) -> None:
    """Refuse what another site's page has a browser ask: it could not read the answer, yet had it worked out."""
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise HTTPException(403, "asked by a page of another site")


def _engines(request: Request) -> Engines:
    engines: Engines = request.app.state.engines
    return engines


api = APIRouter(prefix="/api", dependencies=[Depends(_refuse_other_sites)])
HomeEngines = Annotated[Engines, Depends(_engines)]


def create_app(engines: Engines, hosts: Sequence[str] = LOOPBACK) -> FastAPI:
    """Return the server of these engines as an ASGI application.

    `hosts` are the names that a request's Host header may have ("*": any). They refuse a page of another site whose
    name was made to point to this machine.
    """
    app = FastAPI(title="Product search", docs_url=None, redoc_url=None, openapi_url=None)
    # One thread does all encoding and comparing: two at once would only share the cores, and each thread that calls
    # torch keeps a team of workers.
    app.state.engines, app.state.searcher = engines, ThreadPoolExecutor(1, "search")
    app.include_router(api)
    app.add_api_route("/", lambda: FileResponse(PAGE / "index.html"))
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
def catalogues(engines: HomeEngines) -> dict[str, Any]:
    """Return datasets and their variants, those to be shown first first."""
    datasets = []
    for name, variants in engines.available().items():
        shown = [{"name": variant, "title": get_variant(variant).title} for variant in variants]
        datasets.append({"name": name, "variants": shown})
    return {"datasets": datasets}


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


@api.post("/search/{dataset}/{variant}")
async def search(engines: HomeEngines, request: Request, dataset: str, variant: str) -> dict[str, Any]:
    """Return products for a query: a form with the field `query` (JSON) and the file `photo`, either may be absent."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, "send a form (multipart/form-data) with the field query and, if any, the file photo")
    async with request.form(max_files=1, max_fields=4, max_part_size=FIELD_BYTES) as form:
        fields, file = form.get("query", "{}"), form.get("photo")
        if isinstance(fields, UploadFile) or (file is not None and not isinstance(file, UploadFile)):
            raise HTTPException(400, "query is a text field of the form, photo a file")
        photo = None if file is None else await file.read()
    if photo is not None and len(photo) > PHOTO_BYTES:
        raise HTTPException(413, TOO_LARGE)
    if photo == b"":
        raise HTTPException(400, "the photo is an empty file")
    opened = await run_in_threadpool(engines.get, dataset, variant)
    query = read_query(fields, photo)
    loop, searcher = asyncio.get_running_loop(), request.app.state.searcher
    return answer_message(opened, query, await loop.run_in_executor(searcher, opened.engine.search, query))
