"""The model card beside an exported model: what it is, how to load it, what it learned from, how good, its limits.

The values come from the catalogue and from the checkpoint's own files; what is not there is left out. The sentences are
in `templates/model_card.md`, the metadata that a hub reads in the YAML block before them.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from eiclip.errors import CorruptOutputError
from eiclip.evaluation.comparisons import PAIRS
from eiclip.model.sources import HUB
from eiclip.model.variants import Variant, get_variant
from eiclip.report.headline import comparison
from eiclip.report.paper import TABLE_1, paper_row
from eiclip.report.queries import Row, one, select, where
from eiclip.report.source import render

FILE, LEVELS = "README.md", "levels.safetensors"
PROTOCOLS = ("full", "sample100")
WAYS = {"i2t": "from photo to text", "t2i": "from text to photo"}
NAMES = {"r1": "recall@1", "r5": "recall@5", "r10": "recall@10", "mrr": "MRR", "ndcg10": "nDCG@10"}
MEASURES = {f"{way}_{name}": f"{title} {words}" for way, words in WAYS.items() for name, title in NAMES.items()}
MEASURES["sum_r"] = "SumR"


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, as only the settings know it."""

    pretrained: str
    """What its towers started from."""
    embedded: bool
    """Whether it was trained on the drawn catalogue."""

    @property
    def kind(self) -> str:
        """Whose the first weights are: `general` (this project's), `hub`, `local` or `released`."""
        if self.pretrained == "general":
            return "general"
        if self.pretrained.startswith(HUB):
            return "hub"
        return "local" if Path(self.pretrained).is_absolute() or Path(self.pretrained).exists() else "released"

    @property
    def name(self) -> str:
        """The first weights' name, without the folders of this machine."""
        return Path(self.pretrained).name if self.kind == "local" else self.pretrained.removeprefix(HUB)


def model_card(connection: duckdb.DuckDBPyConnection, folder: Path, dataset: str, variant: str, origin: Origin) -> str:
    """The card of the checkpoint in `folder`, as Markdown after a block of YAML.

    Raises:
        CorruptOutputError: the folder lacks the files that say what the model is.
    """

    def ask(query: str, **parameters: Any) -> list[Row]:
        return select(connection, query, dataset=dataset, **parameters)

    row, described = get_variant(variant), _read(folder / "eiclip.json")
    reads_tags = row.has_entities or row.entities_as_text
    told = [comparison(connection, dataset, *pair) for pair in PAIRS if pair[0] == variant]
    results = [result for protocol in PROTOCOLS for result in _results(ask, dataset, row, protocol)]
    values = {
        "row": row, "described": described, "dataset": dataset, "origin": origin, "in_paper": row.row in TABLE_1,
        "config": _read(folder / "open_clip_config.json")["model_cfg"],
        "names": _read(folder / "vocabulary.json")["names"] if reads_tags else {},
        "levels": LEVELS if (folder / LEVELS).is_file() else "",
        "splits": ask("splits"), "coverage": ask("entity_coverage"), "run": next(iter(ask("newest_run")), None),
        "protocols": PROTOCOLS, "measures": MEASURES, "results": results, "comparisons": list(filter(None, told)),
        "gates": ask("group_gates", variant=variant) if row.gates == "learned" else [],
        "shuffles": ask("shuffles", variant=variant),
        "states": ask("entity_states", variant=variant) if reads_tags else [],
        "beside": where(ask("cross_modal_differences", protocol="full"), variant=variant),
        "cut": next(iter(ask("cut_share")), None), "seeds": one(ask("seed_study"), variant=variant),
    }  # fmt: skip
    text = render("model_card.md", **values)
    data = _metadata(f"{row.title} (row {row.row}), {dataset}", dataset, origin, results)
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"))


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptOutputError(f"{file}: cannot be read ({error}); materialise the checkpoint again") from error
    return found


def _results(ask: Callable[..., list[Row]], dataset: str, row: Variant, protocol: str) -> Iterator[dict[str, Any]]:
    """A model's measures under a protocol: value, ends of its interval, chance, and what the paper printed."""
    found = [one(ask(query, protocol=protocol), variant=row.name) or {} for query in ("board", "quality")]
    own, chance = found[0] | found[1], one(ask("chance"), protocol=protocol) or {}
    ends = where(ask("metric_intervals", protocol=protocol), variant=row.name)
    if row.cross != "none":
        ends = where(ask("cross_modal_figures", protocol=protocol), variant=row.name)
        own = {end["figure"]: end["value"] for end in ends}
    printed = paper_row(dataset, protocol, row.row)
    paper = printed.numbers() if printed else {}
    for name in MEASURES:
        if own.get(name) is not None:
            direction, _, measure = ("both", "", name) if name == "sum_r" else name.partition("_")
            known = one(ends, direction=direction, measure=measure) or {"low": None, "high": None}
            yield {"protocol": protocol, "measure": name, "value": own[name], "low": known["low"],
                   "high": known["high"], "chance": chance.get(name), "paper": paper.get(name)}  # fmt: skip


def _metadata(title: str, dataset: str, origin: Origin, results: Sequence[Mapping[str, Any]]) -> ModelCardData:
    """What a hub reads of the card; a licence only where weights and data are both this project's own."""
    found = [
        EvalResult(
            task_type="information-retrieval", task_name="Photos and texts of products", dataset_type=dataset,
            dataset_name=dataset, dataset_split="test", metric_type=result["measure"],
            metric_name=MEASURES[result["measure"]], metric_config=result["protocol"], metric_value=result["value"],
        )
        for result in results
    ]  # fmt: skip
    return ModelCardData(
        base_model=origin.name if origin.kind == "hub" else None, eval_results=found or None, library_name="open_clip",
        license="mit" if origin.kind == "general" and origin.embedded else None, model_name=title,
        pipeline_tag="zero-shot-image-classification", tags=["clip", "eiclip", "product-retrieval"],
    )  # fmt: skip
