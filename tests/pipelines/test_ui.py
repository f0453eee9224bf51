"""`make ui` ends on SIGTERM however it was started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DAGSTER = f"""#!{sys.executable}
import signal, sys
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, *sys.argv[1:])
"""


def test_dagster_hears_signals_where_a_script_started_it_in_the_background(tmp_path):
    """Dagster takes the handler of SIGINT for SIGTERM, too."""
    dagster = tmp_path / "dagster"
    dagster.write_text(DAGSTER)
    dagster.chmod(0o755)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for `... &` in a script
    try:
        found = subprocess.run(
            [sys.executable, "-m", "pipelines.ui", "--port", "3000"], cwd=ROOT, check=True, capture_output=True,
            text=True, env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "EICLIP_REPORT_PORT": "0"},
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    assert found.stdout.split() == ["True", "dev", "--host", "127.0.0.1", "--port", "3000"]
