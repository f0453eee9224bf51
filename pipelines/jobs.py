"""Jobs: what is run as one."""

from typing import TypeAlias

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.ablations import RESULTS as TRIALS
from assets.ablations import SEED_STUDY, SUMMARY
from assets.common import Project
from assets.cross_modal import CARDS as CROSS_CARDS
from assets.cross_modal import COMPARISONS, INTERVALS, RANKS
from assets.cross_modal import JOB as CROSS_MODAL
from assets.same_style import MADE, group_of
from assets.same_style_study import ABLATION, PART, SEEDS, STUDIES
from assets.search import DRIFT
from assets.sources import Key
from eiclip.model.variants import CROSS_VARIANTS, SAME_STYLE_VARIANTS
from eiclip.storage.sql import headers
from eiclip.studies.trials import ABLATIONS, Ablation
from eiclip.studies.tuning import RESULTS as TUNED
from eiclip.studies.tuning import TUNING

Job: TypeAlias = dg.JobDefinition | UnresolvedAssetJobDefinition

# Not "* and not ...": such strings warn of a beta parameter that Dagster itself gives.
select = dg.AssetSelection.from_string

RESULTS = 'key:"results/catalogue" or key:"results/verdict" or key:"results/report"'
CARDS = 'key:"*/model_cards"'
"""After every training: a card lies in the folder of its model, which a training replaces."""
CATALOGUE_KEY, VERDICT_KEY = dg.AssetKey(["results", "catalogue"]), dg.AssetKey(["results", "verdict"])
RAW_FILES, FRESHNESS = "results_are_of_the_raw_files", "freshness"

FILLED_BY = {
    **dict.fromkeys(headers(), "full_eval"),
    **dict.fromkeys(MADE, "same_style_eval"),
    TRIALS: ", ".join(ABLATIONS),
    SUMMARY: SEED_STUDY,
    ABLATION: ABLATION,
    TUNED: "tune",
    DRIFT: "refresh",
    **dict.fromkeys((RANKS, INTERVALS, COMPARISONS), CROSS_MODAL),
}
"""The job that fills each table of the catalogue; where several do, the one that most people run."""
STUDY_OF_PART = {name: name for name in ABLATIONS} | {PART: SEEDS} | dict.fromkeys(CROSS_VARIANTS, CROSS_MODAL)
"""The job that makes a part of a table, where it is another than the rest's."""


def job_of(project: Project, key: Key) -> str:
    """The job that makes a table of a dataset, or a part of one, again."""
    name, table, *part = key
    job = STUDY_OF_PART.get(part[0] if part else "") or FILLED_BY.get(table, "full_eval")
    if job != "full_eval" or (name in project.of_table_1() and part[:1] not in ([one] for one in SAME_STYLE_VARIANTS)):
        return job
    return "ingest" if table.startswith("profile_") else "same_style_eval"


def full_eval(project: Project) -> Job:
    """Everything about the rows of Table 1 and row 6: no ablation, no tuning, no cross-encoder, and nothing of
    same-style retrieval."""
    others = [f'key:"*/{name}"' for name in (*ABLATIONS, TUNING)]
    others += [f'key:"{name}/*"' for name in project.datasets() if name not in project.of_table_1()]
    selection = dg.AssetSelection.all() - select(" or ".join(others))
    selection -= dg.AssetSelection.groups(*(f"{name}/{CROSS_MODAL}" for name in project.of_table_1()))
    if groups := [group_of(name) for name in project.of_same_style()]:
        selection -= dg.AssetSelection.groups(*groups)
    return dg.define_asset_job(
        "full_eval",
        selection=selection,
        description="From raw files to the report: ingest, train rows 1 to 6, embed, rank, report. What has not "
        "changed since the last run is reused.",
    )


def same_style_jobs(project: Project) -> list[Job]:
    """What is learned of clicks, and the studies of its seeds and of the terms of its loss; none without a dataset."""
    groups = [group_of(name) for name in project.of_same_style()]
    if not groups:
        return []
    offers = select(" or ".join(f'key:"{name}/offers"' for name in project.of_same_style()))  # a search shows them
    everything: dg.AssetSelection = (dg.AssetSelection.groups(*groups) | offers).upstream()
    for name in project.of_same_style().keys() & project.of_table_1().keys():
        everything |= select(CARDS.replace("*", name))
    studies = {name: select(f'key:"*/{name}"') for name in STUDIES}
    rows = everything - studies[SEEDS] - studies[ABLATION]
    questions = {
        SEEDS: "The rows of same-style retrieval with three training seeds: mean, spread, and each difference.",
        ABLATION: "The served row of same-style retrieval without each part of its loss.",
    }
    return [
        dg.define_asset_job(
            "same_style_eval",
            selection=rows | select(RESULTS),
            description="From clicks to the report: mine pairs of one style, train on them in three views, rank every "
            "row by pairs of views, compare. What has not changed since the last run is reused.",
        ),
        *(
            dg.define_asset_job(name, selection=rows | studies[name] | select(RESULTS), description=text)
            for name, text in questions.items()
        ),
    ]


ingest = dg.define_asset_job(
    "ingest",
    selection=(
        select('+key:"*/shards" or +key:"*/data_profile" or +key:"*/candidate_lists"')
        | select('key:"*/conflicting_ids" or key:"*/offers"')
    )
    - select('key:"general/*"'),
    description="From raw files to shards and the data profile: what a new catalogue is looked at with, before any "
    "training.",
)

refresh = dg.define_asset_job(
    "refresh",
    selection=select(
        '+key:"*/shards" or +key:"*/product_entities" or +key:"*/semantic_prior" or +key:"*/entity_spellings" '
        'or +key:"*/offers" or key:"*/search_index/*" or key:"*/drift/*"'
    )
    - select('key:"general/*"'),
    description="New, changed and removed products into the search, by the models that were trained last: ingest, "
    "embeddings of what changed, and what has drifted since the training. Nothing is trained.",
)

cross_modal = dg.define_asset_job(
    CROSS_MODAL,
    # What is made in one step with the ranks of rows 2 to 6 is made whole.
    selection=f'+key:"*/{INTERVALS}" or +key:"*/leaderboard" or +key:"*/chance_recalls" or key:"*/{COMPARISONS}" or '
    f'key:"*/{CROSS_CARDS}" or {CARDS} or {RESULTS}',
    description="FashionBERT and Kaleido-BERT with and without entities, and the re-ranker of row 5's first answers: "
    "trained, asked the lists of sample-100 and row 5's first answers, compared with rows 2, 3, 5 and 6.",
)

tune = dg.define_asset_job(
    "tune",
    selection=f'+key:"*/{TUNING}" or {CARDS}',
    description="Trains rows 3 and 5 with rates drawn around the recipe, as many times each, judges them on the "
    "validation split and writes what it chose as lines of a settings file. Neither ranks nor report: the test split "
    "is not read.",
)


def _ablation(name: str, ablation: Ablation) -> Job:
    return dg.define_asset_job(
        name,
        selection=f'+key:"*/{name}" or {CARDS} or {RESULTS}',
        description=f"{ablation.question} Trains what the answer needs, for every dataset it can be asked of, after "
        "whatever of its upstream has changed, and puts it into the report.",
    )


ablation_jobs = [
    dg.define_asset_job(
        "ablations",
        selection=" or ".join([*(f'+key:"*/{name}"' for name in ABLATIONS), CARDS, RESULTS]),
        description="Every question about the rows in one run: the ablations and the study of seeds. Trains for hours.",
    ),
    *(_ablation(name, ablation) for name, ablation in ABLATIONS.items()),
]

freshness = dg.ScheduleDefinition(
    name=FRESHNESS,
    job=dg.define_asset_job(
        FRESHNESS,
        selection=dg.AssetSelection.checks(dg.AssetCheckKey(VERDICT_KEY, RAW_FILES)),
        description="Are the results of the raw files as they are now? Looks at files' sizes and times; makes nothing.",
    ),
    cron_schedule="0 6 * * *",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every morning (06:00 UTC): fails the check of `results/verdict` where raw files have changed.",
)
