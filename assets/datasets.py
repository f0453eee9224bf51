"""All that is declared: which outputs each dataset of the settings has, and what they share."""

from graphlib import TopologicalSorter

from assets import (
    ablations,
    cards,
    cross_modal,
    evaluation,
    features,
    gates,
    judged_queries,
    profile,
    raw,
    relations,
    same_style,
    same_style_study,
    search,
    shards,
    training,
    tuning,
    typed_queries,
)
from assets.common import Project
from assets.sources import GENERAL
from assets.steps import PartedStep, Step

EVERY = (raw, relations, shards, profile, features)
TABLE_1 = (training, evaluation, gates, cards, ablations, tuning, cross_modal)
SAME_STYLE = (same_style, same_style_study)


def declared(project: Project) -> list[Step | PartedStep]:
    """Every declared step, in an order in which they can be made."""
    found: list[Step | PartedStep] = [shards.general_corpus(project)] if project.settings.pretrained == GENERAL else []
    found.append(training.pretrained(project))
    for name, dataset in project.datasets().items():
        own = (*(TABLE_1 if dataset.table_1 else ()), *(SAME_STYLE if dataset.same_style else ()))
        rooms = (*EVERY, *own, search, judged_queries, typed_queries)
        found += [step for room in rooms for step in room.steps(project, name, dataset)]
    return _sorted(found)


def _sorted(steps: list[Step | PartedStep]) -> list[Step | PartedStep]:
    """The steps, each after those that make what it is made from."""
    made_by = {key: number for number, step in enumerate(steps) for key in step.assets()}
    after = {number: {made_by[key] for key in step.upstream_keys() if key in made_by} - {number}
             for number, step in enumerate(steps)}  # fmt: skip
    return [steps[number] for number in TopologicalSorter(after).static_order()]
