"""The room of a workspace in which a run is put on paper: a card to keep beside its weights, a script that needs no Luthier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ModelError
from engine.guide.methods import METHODS
from engine.guide.techniques import method_of, technique_of
from engine.models.four_bits import whole_layers
from engine.models.warm_up import WarmUp
from engine.models.weights import layer_matrices
from engine.results.receipts import receipt_in, speaks_of_others
from engine.results.run_card import environments_of, run_card
from engine.training.metrics import summary
from engine.training.store import Store
from engine.types import Run

if TYPE_CHECKING:
    from engine.results.script import Script


class Papers:
    """Runs as texts.

    Args:
        store: The workspace's runs.
        runs_directory: The folder in which each has its folder.
        libraries: The heavy libraries, which may still be imported.
    """

    def __init__(self, store: Store, runs_directory: Path, libraries: WarmUp) -> None:
        self._store, self._runs_directory, self._libraries = store, runs_directory, libraries

    def card(self, run: str) -> str:
        """Return what a run was, as Markdown."""
        found = self._store.run(run)
        receipt = receipt_in(found.directory)
        said = receipt.sentence if receipt else ""
        if receipt and speaks_of_others(receipt, found):
            said += f" This was measured of its step {receipt.step:,}; other weights speak for it now."
        figures, whole = summary(self._store.events(run), found), _whole_layers(found)
        return run_card(found, figures, environments_of(found.directory), said, whole)

    def script(self, run: str) -> Script:
        """Return a run as a plain script of the libraries, and what that cannot express."""
        self._libraries.wait()
        from engine.results.script import script_of  # noqa: PLC0415 - brings torch, and only whoever asks waits for it

        return script_of(self._store.run(run).plan, self._runs_directory)


def _whole_layers(run: Run) -> list[str]:
    """Name the layers that a run in 4 bits kept whole; none where its base has gone."""
    plan = run.plan
    method = method_of(technique_of(plan.technique), plan.hyperparameters)
    if not METHODS[method].quantised or plan.model.path is None:
        return []
    try:
        return whole_layers(layer_matrices(plan.model.path))
    except (ModelError, OSError):
        return []
