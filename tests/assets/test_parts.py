"""Assets in parts, run by Dagster's own executor."""

import dagster as dg
import pytest

from assets.parts import Parted, parted_asset


class Work:
    """Parts that are listed, made and gathered, and a note of what was asked for."""

    def __init__(self, parts=("raw-h5-00000", "raw-h5-00001"), broken=()):
        self.parts, self.broken, self.calls = parts, broken, []

    def plan(self, context):
        self.calls.append("plan")
        return self.parts

    def make(self, context, part):
        self.calls.append(part)
        if part in self.broken:
            raise ValueError(f"{part} is broken")
        return f"content of {part}"

    def gather(self, context, parts):
        self.calls.append(dict(parts))
        return dg.Output(None, metadata={"parts": len(parts)}, data_version=dg.DataVersion("+".join(parts.values())))

    def asset(self, resources=()):
        work = Parted(self.plan, self.make, self.gather, frozenset(resources))
        return parted_asset(["d", "photos"], work, upstream=[["d", "records"]], group="g", kinds=set(), text="Photos.")


@dg.asset(key=["d", "records"])
def upstream():
    return None


def test_parts_are_made_one_by_one_and_put_together_in_order():
    work = Work(("raw-h5-00001", "raw-h5-00000"))
    result = dg.materialize([upstream, work.asset()])
    assert result.success
    assert work.calls[0] == "plan"
    assert sorted(work.calls[1:3]) == ["raw-h5-00000", "raw-h5-00001"]
    assert list(work.calls[3].items()) == [(p, f"content of {p}") for p in ("raw-h5-00000", "raw-h5-00001")]
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(["d", "photos"])]
    assert event.materialization.metadata["parts"].value == 2
    tags = event.materialization.tags
    assert tags["dagster/data_version"] == "content of raw-h5-00000+content of raw-h5-00001"


def test_the_asset_comes_after_what_is_upstream():
    asset = Work().asset()
    assert asset.key == dg.AssetKey(["d", "photos"])
    assert asset.dependency_keys == {dg.AssetKey(["d", "records"])}


def test_a_part_that_fails_keeps_them_from_being_put_together():
    work = Work(broken=("raw-h5-00001",))
    result = dg.materialize([upstream, work.asset()], raise_on_error=False)
    assert not result.success
    assert {"raw-h5-00000", "raw-h5-00001"} <= set(work.calls[1:])
    assert not any(isinstance(call, dict) for call in work.calls)


def test_every_step_finds_the_resources_it_asks_for():
    work, seen = Work(), []
    for name in ("plan", "make", "gather"):
        step = getattr(work, name)
        setattr(
            work,
            name,
            lambda context, *given, step=step: (seen.append(context.resources.oven), step(context, *given))[1],
        )
    oven = dg.ResourceDefinition.hardcoded_resource("hot")
    assert dg.materialize([upstream, work.asset({"oven"})], resources={"oven": oven}).success
    assert seen == ["hot"] * 4


def test_parts_may_be_named_in_words():
    work = Work(("row 5, batch 16", "row 5, batch-16", "größe: 3/4"))
    assert dg.materialize([upstream, work.asset()]).success
    assert sorted(work.calls[-1]) == sorted(work.parts)


@pytest.mark.parametrize("parts", [(), ("one",)])
def test_few_parts_are_parts_as_well(parts):
    work = Work(parts)
    assert dg.materialize([upstream, work.asset()]).success
    assert work.calls[-1] == {part: f"content of {part}" for part in parts}
