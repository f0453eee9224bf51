"""Serves a home's report, and no other file, beside Dagster's UI: browsers open no file from a page of a server.

    python -m pipelines.report_server PARENT HOME SOCKET

PARENT is the process that starts this (`pipelines.ui`), which it does not outlive, and SOCKET the number of a
listening socket that it inherits from there.
"""

import signal
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from eiclip.storage.home import Paths
from eiclip.system.processes import die_with_parent

LOOPBACK = ["127.0.0.1", "localhost"]
HEADERS = {
    "Cache-Control": "no-cache",  # the next run's is seen at once
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def create_app(home: Path) -> Starlette:
    """The server of a home's report as an ASGI application."""
    page = Paths(home).report

    def report(_: Request) -> Response:
        if not page.is_file():
            raise HTTPException(404, f"no {page.name} yet: `make full_eval` writes it")
        return FileResponse(page, headers=HEADERS)

    def start(_: Request) -> Response:
        return RedirectResponse(f"/{page.name}")

    # The names that a request's Host header may have: they refuse a site whose name was made to point to this machine.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK, www_redirect=False)
    return Starlette(routes=[Route("/", start), Route(f"/{page.name}", report)], middleware=[hosts])


def main() -> None:
    """Serve until the process that started this ends."""
    parent, home, number = sys.argv[1:]
    die_with_parent(signal.SIGKILL, int(parent))
    config = uvicorn.Config(create_app(Path(home)), log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(number))])


if __name__ == "__main__":
    main()
