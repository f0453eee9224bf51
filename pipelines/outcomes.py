"""The home's own log of outputs: `outputs.jsonl`, a line whenever one was made or reused, with the reason."""

import datetime
import json
from typing import Any

from eiclip.storage.cache import CachedOutput
from eiclip.storage.home import Paths

LOG = "outputs.jsonl"


def append_outcome(home: Paths, name: str, made: CachedOutput, run_id: str) -> None:
    """Note what became of an output in a run; a line is written whole, whoever writes beside."""
    line = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "run_id": run_id,
        "output": name,
        "outcome": "reused" if made.reused else "made",
        "seconds": 0.0 if made.reused else made.seconds,
        "reason": made.reason,
    }
    home.root.mkdir(parents=True, exist_ok=True)
    with (home.root / LOG).open("ab", buffering=0) as file:
        file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())


def last_outcomes(home: Paths) -> dict[str, dict[str, Any]]:
    """The newest line of each output; lines that are not whole are passed over."""
    found: dict[str, dict[str, Any]] = {}
    if not (home.root / LOG).is_file():
        return found
    with (home.root / LOG).open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                outcome = json.loads(line)
                found[str(outcome["output"])] = outcome
            except (ValueError, KeyError, TypeError):
                continue
    return found
