"""`dagster dev`, which SIGTERM ends, and the report beside it: `python -m pipelines.ui --port 3000`.

Dagster does on SIGTERM what it does on SIGINT, and a shell starts the background processes of a script with SIGINT
ignored: nothing but SIGKILL would end it, and its servers would stay.
"""

import os
import signal
import socket
import subprocess
import sys

from eiclip.errors import EiclipError, SettingsError
from eiclip.settings.load import Settings, load_settings


def serve_report(settings: Settings) -> None:
    """Start the server of the report; it ends with this process, whatever that becomes by `exec`.

    Raises:
        SettingsError: its port is taken.
    """
    address = ("127.0.0.1", settings.report_port)
    try:
        listener = socket.create_server(address)
    except OSError as error:
        told = f"the report cannot be served at {':'.join(map(str, address))} ({os.strerror(error.errno or 0)})"
        raise SettingsError(f"{told}: set EICLIP_REPORT_PORT to a free port, or to 0 to serve none") from error
    with listener:
        number = listener.fileno()
        command = [sys.executable, "-m", "pipelines.report_server", str(os.getpid()), str(settings.home), str(number)]
        # A session of its own: Ctrl-C is for Dagster, which ends in its own time, and this server then.
        subprocess.Popen(command, pass_fds=[number], start_new_session=True)


def main() -> None:
    """Become `dagster dev`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        settings = load_settings()
        if settings.report_port:
            serve_report(settings)
    except EiclipError as error:
        sys.exit(f"error: {error}")
    os.execvp("dagster", ["dagster", "dev", "--host", "127.0.0.1", *sys.argv[1:]])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
