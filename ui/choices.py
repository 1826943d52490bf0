"""What a person has chosen so far: the one value that the tabs share, and the one way data flows between them.

A tab never tells another tab anything; it gives back new `Choices`, and every tab draws itself from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.types import Value

STARTER = "starter"
"""The model that is always there."""

FIRST_TECHNIQUE = "lora"
"""The technique a newcomer starts with."""


@dataclass(frozen=True)
class Choices:
    """Data, model, technique, settings and run, as far as they are chosen.

    Attributes:
        dataset: Fingerprint of the training rows.
        held_out: Fingerprint of rows that training never sees; None lets the plan split some off.
        example: Key of the bundled example the dataset came from; it brings preset questions and settings.
        settings: What the person changed, as pairs sorted by key (hashable, so that Gradio sees a change).
        run: The run that Train and Compare show.
        dataset_name: What people call the dataset, kept so that no screen has to read a file for it.
        dataset_rows: How many rows it has.
        held_out_percent: The share of the rows to hold out; None is the usual share, or the example's own rows.
        held_out_seed: What decides which rows these are.
    """

    dataset: str | None = None
    held_out: str | None = None
    example: str | None = None
    model: str = STARTER
    technique: str = FIRST_TECHNIQUE
    settings: tuple[tuple[str, Value], ...] = ()
    run: str | None = None
    dataset_name: str = ""
    dataset_rows: int = 0
    held_out_percent: int | None = None
    held_out_seed: int = 2026

    @property
    def overrides(self) -> dict[str, Value]:
        """The changed settings as a mapping, as `Workspace.plan` takes them."""
        return dict(self.settings)

    def with_dataset(
        self, fingerprint: str, *, name: str, rows: int, held_out: str | None, example: str | None
    ) -> Choices:
        """Return these choices with another dataset; settings go back to what suits its rows."""
        return replace(
            self,
            dataset=fingerprint,
            dataset_name=name,
            dataset_rows=rows,
            held_out=held_out,
            example=example,
            settings=(),
            held_out_percent=None,
        )

    def with_settings(self, settings: Mapping[str, Value]) -> Choices:
        """Return these choices with exactly these changed settings."""
        return replace(self, settings=tuple(sorted(settings.items())))

    def with_model(self, model: str) -> Choices:
        """Return these choices with another model; settings go back to what suits it."""
        return replace(self, model=model, settings=())

    def with_technique(self, technique: str) -> Choices:
        """Return these choices with another technique and its own defaults."""
        return replace(self, technique=technique, settings=())

    def with_run(self, run: str | None) -> Choices:
        """Return these choices looking at another run."""
        return replace(self, run=run)
