"""Serve the search page: python -m eiclip.web --home data, then open the address it says."""

import argparse
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from eiclip.errors import EiclipError, SettingsError
from eiclip.web.app import LOOPBACK, create_app
from eiclip.web.clicks import ClickLog
from eiclip.web.engines import Engines

LOG = logging.getLogger("eiclip.web")


def serve(
    home: Path,
    host: str,
    port: int,
    names: Sequence[str],
    dataset: str,
    variant: str,
    device: str,
    log: Path | None = None,
) -> None:
    """Open the first engine, say the address, answer until interrupted.

    Raises EiclipError where the home has nothing to search, the address is taken, or `log` cannot be written.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"{host}:{port}: cannot listen there ({error}); give another --host or --port") from error
    with listener:
        engines = Engines(home, device, first=(dataset, variant))
        available = engines.available()
        if not available:
            way_out = "`make full_eval` makes them (a quarter of an hour on 2 cores), or name another home with --home"
            raise SettingsError(f"{home}: no trained model with its catalogue; {way_out} or EICLIP_HOME")
        dataset = dataset or next(iter(available))
        clicks = None if log is None else ClickLog(log)
        engines.get(dataset, variant or available.get(dataset, [""])[0])
        host, port = listener.getsockname()[:2]
        named = names or ipaddress.ip_address(host).is_loopback
        app = create_app(engines, [*LOOPBACK, *names] if named else ["*"], clicks)
        LOG.info("search page: http://%s:%s  (Ctrl+C ends it)", f"[{host}]" if ":" in host else host, port)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, limit_concurrency=512)
        uvicorn.Server(config).run(sockets=[listener])


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m eiclip.web", description=__doc__)
    home = Path(os.environ.get("EICLIP_HOME", "data"))
    parser.add_argument("--home", type=Path, default=home, help="where models and catalogues are (EICLIP_HOME)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000; 0: a free one)")
    name = "a name the page is reached by, such as a proxy's; may be given again; '*' for any"
    parser.add_argument("--name", action="append", default=[], dest="names", metavar="HOST", help=name)
    parser.add_argument("--dataset", default="", help="opened and shown at first (the first that has a trained model)")
    parser.add_argument(
        "--variant", default="", help="opened and shown at first (same_style, eiclip_plus, eiclip or another)"
    )
    recorded = "record clicks and thumbs in this CSV file, which `same_style.log` reads, and say so on the page (no)"
    parser.add_argument("--log", type=Path, metavar="FILE", help=recorded)
    parser.add_argument("--device", default="cpu", help="what encodes queries (cpu)")
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    LOG.setLevel(logging.INFO)
    try:
        serve(**vars(parser.parse_args(given)))
    except EiclipError as error:
        LOG.error("%s", error)
        return 1
    except KeyboardInterrupt:
        LOG.info("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
