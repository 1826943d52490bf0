"""From what a person chose to what can be chosen beside it, and to a plan.

The knowledge stands in `engine.guide`; here it meets the models, rows, runs and hardware of a workspace.
"""
# ruff: noqa: PLC0415 - heavy libraries are paid for by the method that needs them

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.data.held_out import DEFAULT_SPLIT, Split
from engine.data.library import Library
from engine.data.statistics import DatasetStatistics
from engine.errors import PlanError, SettingError, TuningError
from engine.guide.compatibility import (
    Combination,
    TechniqueChoice,
    broken_rules,
    reason_against,
    reasons_by_option,
)
from engine.guide.defaults import resolved_hyperparameters
from engine.guide.techniques import TECHNIQUES, technique_of
from engine.models.catalog import Catalog
from engine.models.hardware import host_hardware
from engine.training.metrics import measured_speed
from engine.training.store import Store
from engine.types import (
    HeldOut,
    Hyperparameter,
    HyperparameterKind,
    Objective,
    PretrainedModel,
    Run,
    RunStatus,
    Technique,
    TrainingPlan,
    Value,
)


class Planner:
    """What can be chosen together in a workspace.

    Args:
        catalog: Its models.
        library: Its datasets.
        store: Its runs.
        directory: Its folder.
    """

    def __init__(self, catalog: Catalog, library: Library, store: Store, directory: Path) -> None:
        self._catalog, self._library, self._store, self._directory = catalog, library, store, directory

    def techniques(self) -> tuple[TechniqueChoice, ...]:
        """Return every technique with whether this machine can run it."""
        return tuple(TechniqueChoice(technique, available=True) for technique in TECHNIQUES.values())

    def reason_against(self, technique: str, dataset: str) -> str | None:
        """Return why the technique cannot learn from these rows, or None when it can."""
        chosen, rows = technique_of(technique), self._library.dataset(dataset)
        combination = Combination(chosen, dataset_type=rows.dataset_type, dataset_format=rows.format)
        broken = (rule.sentence(combination) for rule in broken_rules(combination) if rule.setting == "data")
        return reason_against(chosen, rows.dataset_type) or next(broken, None)

    def hyperparameters(
        self, technique: str, model: str, dataset: str | None = None, settings: Mapping[str, Value] | None = None
    ) -> tuple[Hyperparameter, ...]:
        """Return the technique's settings with the defaults that suit this model and these rows.

        Args:
            technique: Its key.
            model: `starter`, a local folder or a hub id.
            dataset: The fingerprint of the rows, when they are chosen.
            settings: What was changed already; a tuning method among it decides which settings there are.
        """
        chosen, described, device = (
            technique_of(technique),
            self._catalog.resolve(model),
            host_hardware(self._directory).device,
        )
        if dataset is None:
            return self._with_reward_run(
                resolved_hyperparameters(chosen, described, 0, {}, settings=settings, device=device), described
            )
        rows = self._library.dataset(dataset)
        training = rows.rows - len(self._library.held_out(dataset).indices)
        example = self._library.example_of(rows)
        given = example.settings.get(technique, {}) if example and described.id == "starter" else {}
        return self._with_reward_run(
            resolved_hyperparameters(chosen, described, training, given, settings=settings, device=device), described
        )

    def _with_reward_run(self, rows: tuple[Hyperparameter, ...], model: PretrainedModel) -> tuple[Hyperparameter, ...]:
        """Fill in the newest run that trained a reward model on this model."""
        if all(row.key != "reward_run" for row in rows):
            return rows
        newest = next((run.id for run in self._store.runs() if _judges_for(run, model)), "")
        return tuple(replace(row, default=newest) if row.key == "reward_run" else row for row in rows)

    def setting_reasons(
        self, technique: str, model: str, settings: Mapping[str, Value], dataset: str | None = None
    ) -> dict[str, dict[str, str]]:
        """Return, for each setting with options, why an option cannot be chosen beside the others; impossible ones only."""
        chosen = technique_of(technique)
        rows = self.hyperparameters(technique, model, dataset, settings)
        values = {row.key: row.default for row in rows} | dict(settings)
        combination = self._combination(chosen, values, self._catalog.resolve(model), dataset)
        options = (row for row in rows if row.choices or row.kind is HyperparameterKind.BOOLEAN)
        found = {row.key: reasons_by_option(combination, row.key) for row in options}
        return {key: reasons for key, reasons in found.items() if reasons}

    def _combination(
        self, technique: Technique, values: Mapping[str, Value], model: PretrainedModel, dataset: str | None
    ) -> Combination:
        rows = self._library.dataset(dataset) if dataset else None
        return Combination(
            technique, values, rows.dataset_type if rows else None, rows.format if rows else None, model.family, model.layers,
            host_hardware(self._directory).device,
        )  # fmt: skip

    def plan(
        self,
        technique: str,
        dataset: str,
        model: str,
        settings: Mapping[str, Value],
        held_out: str | None = None,
        split: Split = DEFAULT_SPLIT,
    ) -> TrainingPlan:
        """Check the choices and work out what they will cost.

        Args:
            technique: Its key.
            dataset: The fingerprint of an inspected dataset.
            model: `starter`, a local folder or a hub id.
            settings: Only what differs from the defaults.
            held_out: The fingerprint of a dataset to check against; otherwise the example's own rows or a split.
            split: How many rows to hold out of the dataset when there are no others.

        Raises:
            PlanError: With every mistake at once.
        """
        from engine.models.hardware import detect_hardware
        from engine.training.plan import PlanRequest, make_plan

        early = self.mistakes_without_data(technique, model, settings)
        if any(not isinstance(mistake, SettingError) for mistake in early):
            raise PlanError(early)
        described, rows = self._catalog.resolve(model), self._library.dataset(dataset)
        kept = HeldOut("file", self._library.dataset(held_out)) if held_out else self._library.held_out(dataset, split)
        defaults = self.hyperparameters(technique, model, dataset, settings)
        counted = self._counted(dataset, described, settings, defaults)
        return make_plan(PlanRequest(
            technique=technique_of(technique), model=described, dataset=rows, held_out=kept, defaults=defaults,
            settings=settings, hardware=detect_hardware(self._directory),
            mean_tokens=counted.tokens_total / max(1, rows.rows) if counted else 1.0,
            longest_tokens=counted.tokens_p95 if counted else 1,
            trained_tokens=counted.trained_tokens if counted else 1,
            measured_tokens_per_second=measured_speed(self._store.runs(), technique, described, self._store.events),
            labels=self._library.labels(dataset),
        ))  # fmt: skip

    def mistakes_without_data(self, technique: str, model: str, settings: Mapping[str, Value]) -> list[TuningError]:
        """Return what is wrong with these choices whatever the rows are."""
        from engine.training.plan import mistakes_without_data

        return mistakes_without_data(technique, lambda: self._catalog.resolve(model), settings)

    def _counted(
        self, dataset: str, model: PretrainedModel, settings: Mapping[str, Value], defaults: Sequence[Hyperparameter]
    ) -> DatasetStatistics | None:
        default = next(row.default for row in defaults if row.key == "max_length")
        asked = str(settings.get("max_length", default))
        if not model.local or not asked.isdigit() or not 0 < int(asked) <= model.context_length_tokens:
            return None
        return self._library.statistics(dataset, str(model.path), int(asked))


def _judges_for(run: Run, model: PretrainedModel) -> bool:
    """Whether a run left a reward model for this model."""
    technique = TECHNIQUES.get(run.plan.technique)
    trained = technique is not None and technique.objective in {Objective.REWARD, Objective.RLHF}
    return trained and run.status is RunStatus.FINISHED and run.plan.model.path == model.path
