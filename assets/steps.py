"""Steps of a run: outputs made together, one after the other, or an asset made in parts, a step each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assets.outputs import Check, Output
from assets.sources import Key, key_of
from eiclip.storage.code_version import CodeVersion, code_version


@dataclass(frozen=True)
class Step:
    """Outputs made in one step of a run, one after the other."""

    name: str
    group: str
    outputs: "Sequence[Output] | Callable[[Mapping[str, Any]], Sequence[Output]]"
    """Where a run's configuration may change trainings: a function of those changes."""
    subset: bool = False
    """Whether some of its assets can be made without the others."""
    trains: bool = False
    whole: str = ""
    """Where its outputs are one asset: that asset's name."""
    description: str = ""
    """Of that asset."""

    def declared(self, recipe: Mapping[str, Any] | None = None) -> Sequence[Output]:
        """Its outputs; `recipe`: what a run's configuration changes of trainings."""
        return self.outputs(recipe or {}) if callable(self.outputs) else self.outputs

    def assets(self) -> list[Key]:
        """Of its assets."""
        whole = [(self.declared()[0].dataset, self.whole)] if self.whole else []
        return [*whole, *(table.key for output in self.declared() for table in output.tables)]

    def upstream_keys(self) -> list[Key]:
        """The assets it comes after."""
        return [key for output in self.declared() for key in output.upstream()]


@dataclass(frozen=True)
class PartedStep:
    """An asset that is made in parts, a step each, and then put together."""

    key: Key
    group: str
    kinds: frozenset[str]
    description: str
    upstream: tuple[str, ...]
    plan: Callable[[Mapping[str, Any]], Sequence[str]]
    """Names of its parts, in the order in which they are begun."""
    part: Callable[[Mapping[str, Any], str], Output]
    whole: Callable[[Mapping[str, Any], Mapping[str, str]], Sequence[Output]]
    """What is made of the parts (name -> content) when they are there, in order; the first stands for the asset."""
    prepare: Callable[[Mapping[str, Any], Any], None] | None = None
    """Called before the parts are named, with the step's log."""
    tidy: Callable[[Mapping[str, str]], None] | None = None
    """Called when the parts are there, before they are put together: what is no part any more goes."""
    writes: tuple[Key, ...] = ()
    """The tables, or parts of tables, that are made of the parts, where they are none that its key names."""
    shown: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    """Of the whole."""
    trains: bool = False
    made_by: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """The functions and the queries that its code's version is computed from."""

    @property
    def code(self) -> CodeVersion:
        """Version of the code that decides its content."""
        return code_version(*self.made_by)

    def assets(self) -> list[Key]:
        """Of its asset."""
        return [self.key]

    def upstream_keys(self) -> list[Key]:
        """The assets it comes after."""
        return [key_of(self.key[0], source) for source in self.upstream]
