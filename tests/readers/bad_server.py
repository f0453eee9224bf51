"""A real HTTP server on the loopback network that misbehaves as told, and counts what it is asked."""

import http.server
import threading
import time
from collections import Counter


class BadServer:
    """`on(path, behave)` says what happens at a path: `behave(handler, nth)` writes the answer to the nth request."""

    def __init__(self, host="127.0.0.1"):
        self.behaviours, self.requests, self.headers = {}, [], []
        self.closing = threading.Event()  # for those who stall
        self.lock, self.active, self.peak = threading.Lock(), 0, 0
        self.server = http.server.ThreadingHTTPServer((host, 0), self._handler())
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def on(self, path, behave):
        self.behaviours[path] = behave
        return self.url(path)

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def count(self):
        with self.lock:
            return Counter(self.requests)

    def stop(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _handler(server):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            closing = server.closing

            def do_GET(self):
                with server.lock:
                    server.requests.append(self.path)
                    server.headers.append(dict(self.headers))
                    nth = server.requests.count(self.path)
                    server.active += 1
                    server.peak = max(server.peak, server.active)
                try:
                    server.behaviours.get(self.path, status(404))(self, nth)
                except OSError:  # the client has gone
                    self.close_connection = True
                finally:
                    with server.lock:
                        server.active -= 1

            def answer(self, body=b"", code=200, close=False, **headers):
                """Write a whole answer; a header of value None is left out."""
                self.send_response(code)
                named = {"Content-Length": len(body)} | {k.replace("_", "-"): v for k, v in headers.items()}
                for name, value in named.items():
                    if value is not None:
                        self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = close

            def log_message(self, *args):
                pass

        return Handler


def photo(content, **headers):
    return lambda handler, nth: handler.answer(content, **headers)


def status(code, **headers):
    return lambda handler, nth: handler.answer(b"sorry", code, **headers)


def redirect(location, code=302):
    return status(code, Location=location)


def fails_first(times, failure, then):
    return lambda handler, nth: (failure if nth <= times else then)(handler, nth)


def drip(handler, nth):
    """A byte every 20 ms, without end: each arrives well within any time limit of a single read."""
    handler.answer(b"\xff", Content_Length=1_000_000)
    while not handler.closing.wait(0.02):
        handler.wfile.write(b"\xff")


def stall(handler, nth):
    handler.closing.wait(10)
    handler.close_connection = True


def hang_up(handler, nth):
    handler.close_connection = True


def endless(handler, nth):
    """A body without a declared length and without an end."""
    handler.answer(b"\xff\xd8", Content_Length=None, close=True)
    while not handler.closing.is_set():
        handler.wfile.write(b"\0" * 65536)


def slow(seconds, then):
    def behave(handler, nth):
        time.sleep(seconds)
        then(handler, nth)

    return behave
