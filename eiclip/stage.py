"""Make an output once: again only when what it is made from has changed.

Beside each output lies `<output>.made.json`: the digest of its inputs (code version, settings, contents of what lies
upstream), the digest of its own content, and the facts worth showing. Downstream outputs depend on the *content*
digest: a rewritten comment in a query redoes that query, and nothing after it if the rows stay the same.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eiclip.errors import CorruptOutputError
from eiclip.files import digest, remove_parts, sha256_file, write_json

MANIFEST = "manifest.json"
"""A folder that holds this file is identified by it: it lists the folder's files with their checksums."""

LOG_FILE = "training_log.parquet"
"""A checkpoint folder's step log, outside its manifest."""


@dataclass(frozen=True)
class Made:
    """What is known of an output: its content digest, the facts shown to people, and whether it was just reused."""

    content: str
    facts: dict[str, Any]
    reused: bool
    seconds: float


def _record(output: Path) -> Path:
    return output.with_name(f"{output.name}.made.json")


def content_digest(output: Path) -> str:
    """Digest of a file's bytes, of a folder's manifest, or of all files of a folder without one."""
    if output.is_file():
        return sha256_file(output)[:16]
    if (output / MANIFEST).is_file():
        return sha256_file(output / MANIFEST)[:16]
    files = sorted(file for file in output.rglob("*") if file.is_file())
    return digest({str(file.relative_to(output)): sha256_file(file) for file in files})


def made_before(output: Path, inputs: dict[str, Any]) -> Made | None:
    """The record of `output` if it is there and was made from these inputs; else None."""
    record = _record(output)
    if not (output.exists() and record.is_file()):
        return None
    known = json.loads(record.read_text(encoding="utf-8"))
    if known["inputs_digest"] != digest(_as_recorded(inputs)):
        return None
    return Made(known["content"], known["facts"], reused=True, seconds=known["seconds"])


def _as_recorded(inputs: dict[str, Any]) -> Any:
    """Inputs as their record holds them."""
    return json.loads(json.dumps(inputs, default=str))


def make_once(output: Path, inputs: dict[str, Any], make: Callable[[], dict[str, Any]]) -> Made:
    """Return the record of `output`, calling `make` first if it is missing or its inputs have changed.

    `make` writes the output (whole or not at all) and returns JSON-able facts about it.

    Raises:
        CorruptOutputError: `make` returned without having written `output`.
    """
    if made := made_before(output, inputs):
        return made
    inputs, record = _as_recorded(inputs), _record(output)
    wanted = digest(inputs)
    record.unlink(missing_ok=True)
    remove_parts(record)
    start = time.perf_counter()
    facts = make()
    seconds = round(time.perf_counter() - start, 3)
    if not output.exists():
        raise CorruptOutputError(f"{output}: the step that makes it ended without writing it")
    content = content_digest(output)
    write_json(
        record, {"inputs_digest": wanted, "content": content, "seconds": seconds, "facts": facts, "inputs": inputs}
    )
    return Made(content, facts, reused=False, seconds=seconds)


def content_of(output: Path) -> str:
    """Content digest of an output made earlier, from its record.

    Raises:
        CorruptOutputError: the output or its record is not there; names what to materialise.
    """
    record = _record(output)
    if not (output.exists() and record.is_file()):
        raise CorruptOutputError(f"{output}: not made yet; materialise the asset that makes it first")
    return str(json.loads(record.read_text(encoding="utf-8"))["content"])


def remembered(record: Path, key: Any, compute: Callable[[], str]) -> str:
    """The value of `compute` for this JSON-able key, kept in the file `record`: computed again for another key."""
    wanted = digest(key)
    if record.is_file():
        known: dict[str, str] = json.loads(record.read_text(encoding="utf-8"))
        if known["key"] == wanted:
            return known["value"]
    value = compute()
    record.parent.mkdir(parents=True, exist_ok=True)
    write_json(record, {"key": wanted, "value": value})
    return value
