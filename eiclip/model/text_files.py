"""The files of a text tower of transformers and of its tokenizer, where they lie: a folder, or a hub's repository."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from eiclip.errors import WeightsError
from eiclip.model.sources import TOKENIZER_FILES, TOWER_CONFIG, read_json, short

Place = Path | str
"""A folder, or the name of a hub's repository."""


def file_at(place: Place, name: str) -> Path | None:
    """A file of a place, downloaded if it is a hub's; None where the place has none of that name.

    What the hub's downloader raises passes through: no network, no such repository.
    """
    if isinstance(place, Path):
        return place / name if (place / name).is_file() else None
    try:
        return Path(hf_hub_download(place, name))
    except LocalEntryNotFoundError:  # not kept from an earlier download, and now there is no network
        raise
    except EntryNotFoundError:
        return None


def files_beside(folder: Path, model_config: Mapping[str, Any]) -> list[Path]:
    """Those of the text tower of a model that lie in its own folder."""
    text = model_config["text_cfg"]
    wanted = (*TOKENIZER_FILES, TOWER_CONFIG) if text.get("hf_tokenizer_name") or text.get("hf_model_name") else ()
    return [folder / name for name in wanted if (folder / name).is_file()]


def text_files(text: Mapping[str, Any], beside: Place, name: str) -> list[Path]:
    """The files that a text tower needs: those beside its weights, else those of where its configuration says.

    Args:
        text: a model's `text_cfg`.
        beside: where its weights lie.
        name: what messages call the model.

    Raises:
        WeightsError: they are in neither place, or cannot be downloaded.
    """
    found: dict[str, Path] = {}
    if tokenizer := text.get("hf_tokenizer_name"):
        found = _tokenizer((beside, _place(tokenizer)), f"{name}: its tokenizer (hf_tokenizer_name {tokenizer!r})")
    if tower := text.get("hf_model_name"):
        places = (beside, _place(tower))
        found[TOWER_CONFIG] = _tower_config(places, f"{name}: its text tower (hf_model_name {tower!r})")
    return list(found.values())


def link(files: Iterable[Path], folder: Path) -> None:
    """Put files of several places into one folder."""
    for file in files:
        (folder / file.name).symlink_to(file.absolute())


def _place(name: str) -> Place:
    return Path(name) if Path(name).is_dir() else name


def _tokenizer(places: Sequence[Place], what: str) -> dict[str, Path]:
    """A tokenizer's files, all of one place; its `config.json` tells transformers which class it is, if need be."""
    reasons = []
    for place in places:
        found: dict[str, Path] = {}
        reason = "no tokenizer.json"
        for name in (*TOKENIZER_FILES, TOWER_CONFIG):
            try:
                file = file_at(place, name)
            except Exception as error:  # downloaders let whatever they meet pass through
                reason = f"{type(error).__name__}: {short(error)}"
                if found:  # an optional one that an earlier download has not left
                    continue
                break
            if file is not None:
                found[name] = file
        if any(name in found for name in TOKENIZER_FILES):
            return found
        reasons.append(f"{place}: {reason}")
    raise _missing(what, reasons, "tokenizer.json and tokenizer_config.json")


def _tower_config(places: Sequence[Place], what: str) -> Path:
    """The `config.json` of a text tower; that beside the weights may be of something else, which is then no tower."""
    from open_clip.hf_configs import arch_dict

    reasons = []
    for place in places:
        try:
            file = file_at(place, TOWER_CONFIG)
        except Exception as error:
            reasons.append(f"{place}: {type(error).__name__}: {short(error)}")
            continue
        kind = read_json(file).get("model_type") if file else None
        if file and kind in arch_dict:
            return file
        reasons.append(f"{place}: {f'{TOWER_CONFIG} is of a {kind}' if file else f'no {TOWER_CONFIG}'}")
    raise _missing(what, reasons, "its config.json")


def _missing(what: str, reasons: Sequence[str], files: str) -> WeightsError:
    return WeightsError(f"{what} is not to be found ({'; '.join(reasons)}); copy {files} beside the weights")
