"""The data profile: what a person wants to see of a dataset before training, as tables, and as plots in the UI."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from assets.common import Project
from assets.outputs import Given, Output
from assets.relations import query
from assets.steps import Step
from eiclip.model.sources import CONFIG_FILE, TOKENIZER_FILES, local_files
from eiclip.report.paper import PAPER_ENTITIES
from eiclip.settings.load import DatasetSettings
from eiclip.storage.files import sha256_file
from eiclip.storage.sql import header

COMPOSITION = "composition"
TABLES = (
    "splits",
    "entities",
    "confounded",
    "descriptions",
    "token_histogram",
    "photos",
    "prices",
    "quarantine",
    "placeholders",
    "compositions",
)


def steps(project: Project, name: str, dataset: DatasetSettings) -> list[Step]:
    """Fibres of compositions, where the dataset has them, and the tables of its profile."""
    headers = [header(f"profile/profile_{table}") for table in TABLES]
    text = "What to look at before training:\n\n" + "\n".join(f"- `{one.name}`: {one.grain}" for one in headers)
    tables = outputs(project, name, dataset)
    profile = Step(f"{name}__data_profile", f"{name}/profile", tables, whole="data_profile", description=text)
    if COMPOSITION not in dataset.entity_groups:
        return [profile]
    kinds, sources = frozenset({"python", "parquet"}), ("tagged_entities",)
    fibres = Output((name, "compositions"), kinds=kinds, make=_compositions, sources=sources)
    return [Step(f"{name}__compositions", f"{name}/relations", [fibres]), profile]


def _compositions(given: Given) -> tuple[pa.Table, Mapping[str, Any]]:
    """One row per distinct composition string and fibre, with its share in percent; `parsed` is false where a string
    could not be taken apart. `composition` is the entity of `tagged_entities`.
    """
    from eiclip.profile.compositions import composition_table

    tagged = given.table("tagged_entities", ["entity"], [("entity_group", "=", COMPOSITION)])
    table = composition_table(tagged["entity"].unique().to_pylist(), given.dataset)
    unparsed = table["parsed"].to_pylist().count(False)
    return table, {"compositions": len(table["composition"].unique()), "unparsed": unparsed}


def outputs(project: Project, name: str, dataset: DatasetSettings) -> list[Output]:
    """The profile's tables."""
    paper = PAPER_ENTITIES.get(dataset.kind, {})
    beside = {"paper_groups": list(paper), "paper_entities": list(paper.values())}

    towers = {"model_name": project.settings.model, "pretrained": str(project.settings.pretrained)}

    def files() -> Mapping[str, str]:
        """Those of the tokenizer, where it lies on this machine."""
        found = local_files(towers["pretrained"])
        return {file.name: sha256_file(file) for file in found if file.name in (CONFIG_FILE, *TOKENIZER_FILES)}

    def context() -> Mapping[str, Any]:
        from eiclip.model.pretrained import configured_tokenizer

        return {"context_length": configured_tokenizer(**towers).context_length}

    def placeholders() -> Mapping[str, Any]:
        from eiclip.readers.texts import PLACEHOLDERS, TEMPLATE, entity_spelling

        names = [*sorted(PLACEHOLDERS), *map(entity_spelling, dataset.placeholders)]
        return {"placeholders": names, "template": TEMPLATE.pattern}

    plots = "eiclip.report.profile_plots:"
    shown = {
        f"table_{one}": f"data.{one}"
        for one in ("descriptions", "entities", "compositions", "prices", "conflicts", "quarantine", "placeholders")
    }
    shown |= {f"{one}_plot": f"{plots}{one}_plot" for one in ("entity", "confounded", "token", "photo", "quarantine")}
    found = [
        Output(
            (name, "profile_tokens"), make=_tokens, sources=("products",), settings=towers, external={"files": files}
        ),
        query(name, "profile/profile_splits", ("products", "images")).showing(**shown),
        query(name, "profile/profile_entities", ("products", "product_entities", "entity_vocabulary"), beside),
        query(name, "profile/profile_confounded", ("semantic_prior",), {"most": 200}),
        query(name, "profile/profile_descriptions", ("products", "profile_tokens"), context),
        query(name, "profile/profile_token_histogram", ("profile_tokens",), {"width": 4}),
        query(name, "profile/profile_photos", ("images",), {"step": 64, "most": 200}),
        query(name, "profile/profile_prices", ("records",), {"dataset": name, "shown": 20}),
        query(name, "profile/profile_quarantine", ("quarantine",)),
        query(name, "profile/profile_placeholders", ("records", "entity_spellings"), placeholders),
    ]
    if COMPOSITION in dataset.entity_groups:
        fibres = {"dataset": name, "shown": 30}
        found.append(query(name, "profile/profile_compositions", ("compositions", "product_entities"), fibres))
    return found


def _tokens(given: Given) -> pa.Table:
    """Tokens of every product's description."""
    from eiclip.model.pretrained import configured_tokenizer
    from eiclip.profile.tokens import token_table

    return token_table(given.path("products"), given.dataset, configured_tokenizer(**given.parameters))
