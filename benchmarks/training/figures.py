"""The figures of `python -m benchmarks.training`: what each measures, and the JSON lines it prints."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.measure import interleaved, line, median, run_apart, say
from benchmarks.training import data, peer, steps, together
from benchmarks.training.steps import FASHIONGEN, Case
from eiclip.model.towers import image_size, save_towers

MIB = 2**20


@dataclass(frozen=True)
class Plan:
    """How much is measured, on what."""

    rounds: int
    case: Case
    products: int = data.PRODUCTS
    epochs: int = 2
    workers: int = 1


def _times(cases: dict[str, Case], rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of a step and MiB beyond the weights, of each case."""
    runs = interleaved({name: (steps.prepare, [(case,)]) for name, case in cases.items()}, rounds)
    return {
        name: (median([run.facts["seconds"] for run in found]), median([run.facts["peak"] / MIB for run in found]))
        for name, found in runs.items()
    }


def rows(plan: Plan) -> None:
    """Row 5's step beside row 2's: what entities, gates and two loss terms more cost."""
    base = plan.case
    cases = {"row 5": base, "row 2": replace(base, variant="clip_description")}
    cases["real"] = replace(base, entities=tuple(FASHIONGEN.items()))
    cases["sparse"] = cases["real"].using(sparse_entities=True)
    found = {name: base.batch / seconds for name, (seconds, _) in _times(cases, plan.rounds).items()}
    note = f"{base.model}, batch {base.batch}, {base.length} tokens, {base.threads} thread(s), {base.device}"
    say(line("row 5's step beside row 2's (pairs/s)", found["row 5"], found["row 2"], 0.97, at_most=False, note=note))
    real = f"{note}; entity tables of the real Fashion-Gen's size (no goal)"
    say(line("the same, larger tables", found["real"], found["row 2"], 0, at_most=False, note=real))
    say(line("the same, sparse", found["sparse"], found["row 2"], 0, at_most=False, note=f"{real}, sparse_entities"))


def settings(plan: Plan) -> None:
    """Each hardware setting beside the step without it: time and memory."""
    base = plan.case
    compiled = {"compile": base.using(compile=True)} if base.model == "small" or base.device != "cpu" else {}
    cases = {
        "plain": base,
        "chunk_size": base.using(chunk_size=max(1, base.batch // 4)),
        "gradient_checkpointing": base.using(gradient_checkpointing=True),
        "precision bf16": base.using(precision="bf16"),
        "fused_optimizer off": base.using(fused_optimizer=False),
        "channels_last": base.using(channels_last=True),
        **compiled,
    }
    found = _times(cases, plan.rounds)
    seconds, memory = found.pop("plain")
    for name, (its, used) in found.items():
        note = f"{base.model}, batch {base.batch}; memory {used:.0f} MiB beyond the weights, plain {memory:.0f} MiB"
        say(line(f"{name}: seconds a step beside the plain step", its, seconds, 0, at_most=False, note=note))


def caching(plan: Plan) -> None:
    """A batch of 1,024 in chunks of 64 beside a batch of 64: memory that is in use.

    glibc keeps pieces of what was freed, more of it the longer a step goes on; told to give large pieces back at once,
    as the trainer tells it where `chunk_size` is set, it shows what the step needs. The note says what it takes else.
    """
    case = replace(plan.case, steps=1)
    large = replace(case, batch=16 * case.batch).using(chunk_size=case.batch)
    cases = {"large": large, "small": case, "whole": replace(case, batch=16 * case.batch)}
    kept = _memory(large, plan)
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # bytes; read by glibc when the processes that are measured start
    found = {name: _memory(one, plan) for name, one in cases.items()}
    del os.environ["MALLOC_MMAP_THRESHOLD_"]
    note = f"{case.model}; the same batch without chunks {found['whole']:.0f} MiB; with glibc's own ways {kept:.0f} MiB"
    name = f"memory of a batch of {large.batch} in chunks of {case.batch} beside a batch of {case.batch} (MiB)"
    say(line(name, found["large"], found["small"], 1.1, at_most=True, note=note))


def _memory(case: Case, plan: Plan) -> float:
    """MiB that steps take beyond weights and batch."""
    return median([run_apart(steps.prepare, [(case,)]).facts["peak"] / MIB for _ in range(min(3, plan.rounds))])


def tables(plan: Plan) -> None:
    """A step with large entity tables: all rows' gradients and moments, or the batch's own."""
    for entities in (16_844, 1_000_000):
        case = replace(plan.case, entities=(("brand", entities),), steps=max(2, plan.case.steps // 3))
        found = _times({"sparse": case.using(sparse_entities=True), "dense": case}, min(3, plan.rounds))
        (seconds, memory), (dense, its_memory) = found["sparse"], found["dense"]
        note = f"seconds a step; memory {memory:.0f} MiB beyond the weights, dense {its_memory:.0f} MiB"
        name = f"sparse_entities at {entities:,} entities beside dense gradients"
        say(line(name, seconds, dense, 1.0, at_most=True, note=note))


def program(plan: Plan) -> None:
    """Row 5 as a user trains it, beside open_clip's own training program on the same shards."""
    case = plan.case
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        towers = steps.towers_of(case.model)
        data.make(root, image_size(towers), plan.products)
        (root / "initial").mkdir()
        save_towers(towers, root / "initial")
        setting = peer.Setting(root, case.batch, plan.epochs, case.threads, plan.workers, case.device)
        pairs = [(peer.ours(setting, "eiclip"), peer.theirs(setting)) for _ in range(plan.rounds)]
    mine, other = (median([pair[side] for pair in pairs]) for side in (0, 1))
    note = (
        f"{case.model}, batch {case.batch}, {case.threads} thread(s), {plan.workers} loader process(es), {case.device}"
    )
    name = "row 5's training beside open_clip_train's (pairs/s)"
    say(line(name, mine, other, 1.0 if case.device == "cpu" else 1.2, at_most=False, note=note))


def processes(plan: Plan) -> None:
    """Two processes that share a batch beside one process with two threads."""
    case = replace(plan.case, threads=1)
    runs: dict[str, list[float]] = {"two processes": [], "two threads": []}
    for _ in range(plan.rounds):
        runs["two processes"].append(together.seconds(case, 2))
        runs["two threads"].append(run_apart(steps.prepare, [(replace(case, threads=2),)]).facts["seconds"])
    mine, other = (case.batch / median(found) for found in runs.values())
    note = f"{case.model}, global batch {case.batch}, gloo"
    say(line("2 processes of 1 thread beside 1 of 2 (pairs/s)", mine, other, 0, at_most=False, note=note))


FIGURES: dict[str, Callable[[Plan], None]] = {
    "rows": rows,
    "program": program,
    "settings": settings,
    "caching": caching,
    "tables": tables,
    "processes": processes,
}


def measure(names: Sequence[str], plan: Plan) -> None:
    """Print the named figures."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    for name in names:
        FIGURES[name](plan)
