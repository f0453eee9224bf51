"""What every asset shares: the settings, and the home they name."""

import os
from dataclasses import dataclass

from eiclip.settings.load import DatasetSettings, Settings
from eiclip.storage.home import Paths

STEPS_AT_ONCE = 2
"""Steps that run at the same time."""


@dataclass(frozen=True)
class Project:
    """The settings of this code location and the home they name."""

    settings: Settings
    paths: Paths

    @property
    def threads(self) -> int:
        """CPU threads of one step or trainer: two run at once; threads in excess cost time."""
        return max(1, (os.cpu_count() or 2) // STEPS_AT_ONCE)

    def step_device(self) -> str:
        """The device of work done within a step, with this step's share of threads."""
        from eiclip.system.devices import pick_device, use_threads

        use_threads(self.threads)
        return pick_device()

    def datasets(self) -> dict[str, DatasetSettings]:
        """All datasets by name."""
        return self.settings.datasets

    def of_table_1(self) -> dict[str, DatasetSettings]:
        """Those that the rows of Table 1, and row 6, are trained on."""
        return {name: dataset for name, dataset in self.datasets().items() if dataset.table_1}

    def of_same_style(self) -> dict[str, DatasetSettings]:
        """Those that same-style retrieval is learned on."""
        return {name: dataset for name, dataset in self.datasets().items() if dataset.same_style is not None}
