"""What keeps the server from harm: no body is read beyond its limit, and browsers are told what a page may do."""

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PHOTO_BYTES = 10 * 2**20
FIELD_BYTES = 256 * 2**10  # of the query beside a photo: a text of 10,000 characters is a tenth of it
BODY_BYTES = PHOTO_BYTES + FIELD_BYTES + 4096
TOO_LARGE = f"the photo, or what else was sent, is larger than {PHOTO_BYTES // 2**20} MB"
HEADERS = {
    # Everything is of this server; `blob:` is the photo chosen, shown before it is sent.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Limits:
    """Refuses bodies larger than `BODY_BYTES`, by what they declare or while they are read, and adds `HEADERS`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        too_large = not declared.isascii() or not declared.isdigit() or int(declared[:20]) > BODY_BYTES
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message: Message = {} if too_large else await receive()
            read += len(message.get("body", b""))
            if too_large or read > BODY_BYTES:
                raise HTTPException(413, TOO_LARGE)
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                # Asked for again every time: a new version of the page is never mixed with an old one.
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        await self.app(scope, receive_counted, send_with_headers)
