"""Make an output once: again only when what it is made from has changed, and say what that was.

Beside each output lies its record, `<output>.made.json`: what it was made from (the version of its code, its
parameters, the contents of its sources), the digest of its own content, the sizes and times of its files, and the facts
worth showing. Downstream outputs depend on the *content*: a query written otherwise is run again, and nothing after it
if the rows stay the same. An output that is gone or was edited, or whose record cannot be read, is made again as well.
"""

import datetime
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eiclip.errors import CorruptOutputError
from eiclip.storage.code_version import CodeVersion
from eiclip.storage.files import beside, digest, remove_parts, sha256_file, write_json

MANIFEST = "manifest.json"
"""A folder that holds this file is identified by it: it lists the folder's files with their checksums."""

LOG_FILE = "training_log.parquet"
"""A checkpoint folder's step log, outside its manifest."""

FORMAT = 2  # version of the records' format
CODE = "code"  # the input that is a `CodeVersion`
NAMED = 3  # changes of one kind that are named one by one

Inputs = Mapping[str, Any]
"""What an output is made from: `code`, `parameters` and `sources`, or what a caller likes; JSON but for the code."""


@dataclass(frozen=True)
class CachedOutput:
    """What is known of an output."""

    content: str  # digest of its content
    facts: dict[str, Any]  # what is worth showing of it
    reused: bool  # whether it was there already, made from the same inputs
    seconds: float  # time it took to make
    reason: str = ""  # why it was made, or made again


def make_once(
    output: Path, inputs: Inputs, make: Callable[[], Mapping[str, Any]], *, beside: Sequence[Path] = ()
) -> CachedOutput:
    """Return the record of `output`, calling `make` first if it is missing or not what it would be made as now.

    Args:
        output: the file or folder.
        inputs: all that decides its content.
        make: writes the output (whole or not at all) and returns JSON-able facts about it.
        beside: files that `make` writes with it; each has a record of its own, and one that is gone or was edited
            makes all of them again.

    Raises:
        CorruptOutputError: `make` returned without having written `output` or a file beside it.
    """
    outputs = [output, *beside]
    found = [_usable(path, inputs) for path in outputs]
    reasons = [reason for _, reason in found if reason]
    if not reasons and found[0][0]:
        return found[0][0]
    for path in outputs:
        record_of(path).unlink(missing_ok=True)
        remove_parts(record_of(path))
    start = time.perf_counter()
    facts = dict(make())
    seconds = round(time.perf_counter() - start, 3)
    for path in outputs:
        if not path.exists():
            raise CorruptOutputError(f"{path}: the step that makes it ended without writing it")
    described = recorded(inputs)
    code = inputs.get(CODE)
    if isinstance(code, CodeVersion) and (edited := code.edited()):
        # What was loaded late may be of the new code: it is made again next time, and nobody waits for it now.
        described[CODE]["version"] = f"edited while it ran: {', '.join(edited[:NAMED])}"
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    shared = {"format": FORMAT, "inputs": described, "seconds": seconds, "reason": reasons[0], "made": made}
    for path in reversed(outputs):  # its own record last: with it, all are there
        content = content_digest(path)
        of_path = {"facts": facts if path is output else {}, "content": content, "stamps": _stamps(path)}
        write_json(record_of(path), shared | of_path)
    return CachedOutput(content, facts, reused=False, seconds=seconds, reason=reasons[0])


def made_before(output: Path, inputs: Inputs) -> CachedOutput | None:
    """Return the record of `output` if it is there and was made from these inputs; else None."""
    return _usable(output, inputs)[0]


def why_stale(output: Path, inputs: Inputs) -> str | None:
    """Return why `output` has to be made (again) from these inputs; None: it need not be."""
    return _usable(output, inputs)[1] or None


def content_of(output: Path) -> str:
    """Return the content digest of an output made earlier, from its record.

    Raises:
        CorruptOutputError: the output or its record is not there, or it was edited; names what to materialise.
    """
    known, problem = _usable(output)
    if known is None:
        raise CorruptOutputError(f"{output}: {problem}; materialise the asset that makes it")
    return known.content


def _usable(output: Path, inputs: Inputs | None = None) -> tuple[CachedOutput | None, str]:
    """Return an output that is as it was written (and made from `inputs`, if given), or None and why it is not."""
    known, problem = read_record(output)
    if known is None:
        return None, problem
    if inputs is not None and inputs_digest(known["inputs"]) != inputs_digest(wanted := recorded(inputs)):
        return None, "; ".join(differences(known["inputs"], wanted))
    stamps = _stamps(output)
    if stamps != known["stamps"]:  # edited, or only copied or touched: those files are read
        touched = [name for name in {**known["stamps"], **stamps} if stamps.get(name) != known["stamps"].get(name)]
        if gone := [name for name in touched if name not in stamps]:
            return None, f"{gone[0]} of it is gone"
        sums = _checksums(output)
        damaged = [name for name in touched if name in sums and sha256_file(output / name) != sums[name]]
        if damaged or content_digest(output) != known["content"]:
            name = (damaged or [name for name in touched if name] or [output.name])[0]
            return None, f"{name} was edited after it was made"
        write_json(record_of(output), known | {"stamps": stamps})
    return CachedOutput(known["content"], known["facts"], reused=True, seconds=known["seconds"]), ""


def record_of(output: Path) -> Path:
    """Return where the record of an output lies."""
    return beside(output, ".made.json")


def remove_output(output: Path) -> None:
    """Remove a file that is no longer part of a table, and its record."""
    output.unlink(missing_ok=True)
    record_of(output).unlink(missing_ok=True)


def read_record(output: Path) -> tuple[dict[str, Any] | None, str]:
    """Return the record of an output, or None and why there is no usable one."""
    record = record_of(output)
    if not output.exists():
        return None, "the output is gone" if record.is_file() else "not made yet"
    try:
        known: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        if known["format"] != FORMAT:
            return None, f"its record is of another version of this project (format {known['format']}, here {FORMAT})"
        kinds: dict[str, Any] = {"inputs": dict, "content": str, "facts": dict, "seconds": (int, float), "stamps": dict}
        wrong = [name for name, kind in kinds.items() if not isinstance(known[name], kind)]
    except FileNotFoundError:
        return None, "it has no record: its making was interrupted, or the record was deleted"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, f"its record cannot be read ({type(error).__name__})"
    return (None, f"its record cannot be read ({wrong[0]})") if wrong else (known, "")


def recorded(inputs: Inputs) -> dict[str, Any]:
    """Return inputs as a record holds them."""
    plain = {name: value.recorded() if isinstance(value, CodeVersion) else value for name, value in inputs.items()}
    described: dict[str, Any] = json.loads(json.dumps(plain, default=str, allow_nan=False))
    return described


def inputs_digest(described: Mapping[str, Any]) -> str:
    """Return the digest of recorded inputs: of their code the version alone, whatever files it is spread over."""
    code = described.get(CODE)
    return digest({**described, CODE: code["version"] if isinstance(code, dict) and "version" in code else code})


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what differs between two recorded inputs, a phrase each: code first, then settings, then sources."""
    before, after = (side[CODE] if isinstance(side.get(CODE), dict) else {} for side in (old, new))
    files, packages = (list(_changes(before.get(kind, {}), after.get(kind, {}))) for kind in ("files", "packages"))
    code = _first([f"{name} {_change(was, now)}" for name, was, now in files], "source files")
    code += [f"{name} {was or 'none'} -> {now or 'none'}" for name, was, now in packages]
    if before.get("version") != after.get("version") and not code:
        code = ["its code changed"]
    if str(before.get("version")).startswith("edited"):
        code = [f"its code was {before['version']}"]
    before, after = (
        {**side.get("parameters", {}), **{k: v for k, v in side.items() if k not in (CODE, "parameters", "sources")}}
        for side in (old, new)
    )
    settings = [f"{name} {_short(was)} -> {_short(now)}" for name, was, now in _changes(before, after)]
    before, after = old.get("sources", {}), new.get("sources", {})
    sources = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if isinstance(was, dict) and isinstance(now, dict) and was != now:
            changed = [file for file, _, _ in _changes(was, now)]
            named = f": {', '.join(changed)}" if len(changed) <= NAMED else ""
            what = name.replace("_", " ").removesuffix("s" if len(changed) == 1 else "")
            sources.append(f"{len(changed)} {what} changed{named}")
        elif was != now:
            sources.append(f"{name} {_change(was, now)}")
    return code + _first(settings, "settings") + _first(sources, "sources") or ["made from something else"]


def _changes(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the names (dotted) at which two JSON values differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif old != new:
        yield name, old, new


def _change(was: Any, now: Any) -> str:
    return "changed" if was and now else "is used now" if now else "is no longer used"


def _first(found: list[str], what: str) -> list[str]:
    return found if len(found) <= NAMED else [*found[:NAMED], f"{len(found) - NAMED} more {what}"]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def content_digest(output: Path) -> str:
    """Return the digest of a file's bytes, of a folder's manifest, or of all files of a folder without one."""
    identity = output if output.is_file() else output / MANIFEST
    if identity.is_file():
        return sha256_file(identity)[:16]
    return digest({name: sha256_file(file) for name, file in _files(output).items()})


def _files(output: Path) -> dict[str, Path]:
    """Return the files by which an output is identified, by their names in it."""
    if output.is_file():
        return {"": output}
    if (output / MANIFEST).is_file():
        return {name: output / name for name in (MANIFEST, *_checksums(output))}
    return {file.relative_to(output).as_posix(): file for file in sorted(output.rglob("*")) if file.is_file()}


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files that a folder's manifest lists: of a checkpoint (name -> sum), or of shards."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if "shards" not in manifest:
            return {name: found for name, found in manifest.items() if isinstance(found, str)}
        files = [file for shard in manifest["shards"] for file in (shard, shard["index"])]
        return {file["name"]: file["sha256"] for file in files}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _stamps(output: Path) -> dict[str, list[int]]:
    """Return size and time of every file by which an output is identified; a file that is gone has none."""
    facts = {name: file.stat() for name, file in _files(output).items() if file.is_file()}
    return {name: [fact.st_size, fact.st_mtime_ns] for name, fact in facts.items()}


def remembered(record: Path, key: Any, compute: Callable[[], Any]) -> Any:
    """Return the value of `compute` for this key, both JSON, kept in the file `record`: one value, of the last key."""
    wanted = digest(key)
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["key"] == wanted:
            return known["value"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or not whole
    value = compute()
    write_json(record, {"key": wanted, "value": value})
    return value
