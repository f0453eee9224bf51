"""Assets that are made part by part: a step that lists the parts, a step a part, a step that puts them together.

The steps are Dagster's own (dynamic outputs), so parts are made in parallel wherever its executor puts steps: in
processes here, in pods elsewhere. Each part is made once (`eiclip.storage.cache`), so a step that fails, or a part that is
deleted, is the only one made again.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.common import OWNERS


@dataclass(frozen=True)
class Parted:
    """What an asset in parts does: list its parts, make one (returns its content digest), put all together.

    Each finds the `resources` of the code location in its context.
    """

    plan: Callable[[dg.OpExecutionContext], Sequence[str]]
    make: Callable[[dg.OpExecutionContext, str], str]
    gather: Callable[[dg.OpExecutionContext, Mapping[str, str]], dg.Output[None]]
    resources: frozenset[str] = frozenset()
    step: Mapping[str, Any] = field(default_factory=dict)
    """What the steps that make a part are made with besides: a pool, a retry policy."""


def parted_asset(
    key: Sequence[str], work: Parted, *, upstream: Sequence[Sequence[str]], group: str, kinds: set[str], text: str
) -> dg.AssetsDefinition:
    """The asset `key`, made in parts after everything `upstream`."""
    prefix = "__".join(key)
    after = {f"after_{number}": dg.In(dg.Nothing) for number in range(len(upstream))}

    needs: dict[str, Any] = {"required_resource_keys": work.resources}

    @dg.op(
        name=f"{prefix}__parts",
        ins=after,
        out=dg.DynamicOut(str),
        description=f"List the parts of {key[-1]}.",
        **needs,
    )
    def plan(context: dg.OpExecutionContext) -> Iterator[dg.DynamicOutput[str]]:
        for number, part in enumerate(work.plan(context)):
            # Dagster's keys know letters, digits and the underscore; the number keeps apart what differs in others.
            yield dg.DynamicOutput(part, mapping_key=f"{re.sub(r'[^A-Za-z0-9]+', '_', part)}__{number}")

    @dg.op(
        name=f"{prefix}__part",
        description=f"Make one part of {key[-1]}, unless it is as it would be.",
        **needs,
        **work.step,
    )
    def make(context: dg.OpExecutionContext, part: str) -> dg.Output[tuple[str, str]]:
        return dg.Output((part, work.make(context, part)))  # a step that used Pipes must say so

    @dg.op(
        name=f"{prefix}__gather",
        out=dg.Out(dg.Nothing),
        description=f"Put the parts of {key[-1]} together.",
        **needs,
    )
    def gather(context: dg.OpExecutionContext, parts: list[tuple[str, str]]) -> Any:
        yield work.gather(context, dict(sorted(parts)))

    @dg.graph_asset(
        key=dg.AssetKey(key),
        ins={
            name: dg.AssetIn(key=dg.AssetKey(k), dagster_type=dg.Nothing)
            for name, k in zip(after, upstream, strict=True)
        },
        group_name=group,
        kinds=kinds,
        owners=OWNERS,
        description=text,
    )
    def asset(**upstream_done: Any) -> Any:
        return gather(plan(**upstream_done).map(make).collect())

    return asset
