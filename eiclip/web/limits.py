"""What keeps the server from harm: no body is read beyond its limit, and browsers are told what a page may do."""

from collections.abc import MutableMapping
from typing import Any

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PHOTO_BYTES = 10 * 2**20
FIELD_BYTES = 256 * 2**10
"""Of the query beside a photo: a text of 10,000 characters is a tenth of it."""
BODY_BYTES = PHOTO_BYTES + FIELD_BYTES + 4096
TOO_LARGE = f"the photo is larger than {PHOTO_BYTES // 2**20} MB"
HEADERS = {
    # Everything is of this server; `blob:` is the photo chosen, shown before it is sent.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class BodyLimit:
    """Requests with a body larger than `BODY_BYTES` are refused: by what they declare, else while they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        too_large = not declared.isascii() or not declared.isdigit() or int(declared[:20]) > BODY_BYTES
        read = 0

        async def counted() -> Message:
            nonlocal read
            if too_large:
                raise HTTPException(413, TOO_LARGE)
            message = await receive()
            read += len(message.get("body", b""))
            if read > BODY_BYTES:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self.app(scope, counted, send)


class SafeHeaders:
    """Adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, marked)
