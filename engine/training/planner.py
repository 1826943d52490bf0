"""From what a person chose to what can be chosen beside it, and to a plan.

The knowledge stands in `engine.guide`; here it meets the models, rows, runs and hardware of a workspace.
"""
# ruff: noqa: PLC0415 - heavy libraries are paid for by the method that needs them

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

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
from engine.guide.setting_values import checked_value
from engine.guide.techniques import TECHNIQUES, method_of, technique_of
from engine.models.catalog import Catalog
from engine.models.fit import Change, Fit, fit_of
from engine.models.hardware import Hardware, host_hardware
from engine.models.warm_up import WarmUp
from engine.training.comparing import ComparedTechnique, TrainableShare, compared
from engine.training.metrics import measured_speed
from engine.training.store import Store
from engine.types import (
    Dataset,
    HeldOut,
    Hyperparameter,
    HyperparameterKind,
    Objective,
    PretrainedModel,
    Run,
    RunStatus,
    Technique,
    TrainingPlan,
    TuningMethod,
    Value,
)

if TYPE_CHECKING:
    from engine.training.plan import PlanRequest


@dataclass(frozen=True)
class PlanChoices:
    """What a person chose.

    Attributes:
        technique: Its key.
        dataset: The fingerprint of an inspected dataset.
        model: `starter`, a local folder or a hub id.
        settings: Only what differs from the defaults.
        held_out: The fingerprint of a dataset to check against; otherwise the example's own rows or a split.
        split: How many rows to hold out of the dataset when there are no others.
    """

    technique: str
    dataset: str
    model: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    held_out: str | None = None
    split: Split = DEFAULT_SPLIT


class Planner:
    """What can be chosen together in a workspace.

    Args:
        catalog: Its models.
        library: Its datasets.
        store: Its runs.
        directory: Its folder.
        libraries: The heavy libraries, which may still be imported; what needs them waits for them.
    """

    def __init__(self, catalog: Catalog, library: Library, store: Store, directory: Path, libraries: WarmUp) -> None:
        self._catalog, self._library, self._store, self._directory = catalog, library, store, directory
        self._libraries = libraries

    def techniques(self) -> tuple[TechniqueChoice, ...]:
        """Return every technique with whether this machine can run it."""
        return tuple(TechniqueChoice(technique, available=True) for technique in TECHNIQUES.values())

    def reason_against(self, technique: str, dataset: str) -> str | None:
        """Return why the technique cannot learn from these rows, or None when it can."""
        return _misfit(technique_of(technique), self._library.dataset(dataset))

    def techniques_for(self, model: str, dataset: str | None = None) -> tuple[TechniqueChoice, ...]:
        """Return every technique with whether this machine can run it on this model.

        Args:
            model: `starter`, a local folder or a hub id.
            dataset: The fingerprint of the rows; one that cannot learn from them stays available and says why not.
        """
        from engine.training.plan import dtype_for

        described, hardware = self._catalog.resolve(model), host_hardware(self._directory)
        rows = self._library.dataset(dataset) if dataset else None
        choices = []
        for technique in TECHNIQUES.values():
            combination = Combination(
                technique, {}, None, None, described.family, described.layers, hardware.device, dtype=dtype_for(hardware, technique.method)
            )  # fmt: skip
            broken = [rule for rule in broken_rules(combination) if rule.setting in {"technique", "model"}]
            against = broken[0].sentence(combination) if broken else ""
            misfit = _misfit(technique, rows) if rows else None
            choices.append(TechniqueChoice(technique, not broken, against or misfit or ""))
        return tuple(choices)

    def trainable_share(
        self, technique: str, model: str, settings: Mapping[str, Value], dataset: str | None = None
    ) -> TrainableShare:
        """Count what moves of a model; nothing for one that is not on this disk.

        Raises:
            TuningError: When a setting has no usable value, or the method does not suit the model.
        """
        self._libraries.wait()
        from engine.models.adapters import HEADED, trainable_parameters

        chosen, described = technique_of(technique), self._catalog.resolve(model)
        rows = self.hyperparameters(technique, model, dataset, settings)
        values = {row.key: checked_value(row, settings.get(row.key, row.default)) for row in rows}
        labels = max(1, len(self._library.labels(dataset)) if dataset else 1) if chosen.objective in HEADED else 0
        method = method_of(chosen, values)
        trainable = trainable_parameters(method, values, described, labels=labels)
        return TrainableShare(trainable, described.parameters + (0 if method is TuningMethod.FULL else trainable))

    def compare_techniques(self, model: str, dataset: str) -> Iterator[ComparedTechnique]:
        """Yield one row a technique, each with its defaults for this model and these rows."""
        described = self._catalog.resolve(model)
        for choice in self.techniques_for(model, dataset):
            technique = choice.technique
            misfit = self.reason_against(technique.key, dataset) or ""
            share, plan, obstacle = None, None, "" if choice.available else choice.reason
            try:
                share = self.trainable_share(technique.key, model, {}, dataset)
                plan = None if misfit or obstacle else self.plan(PlanChoices(technique.key, dataset, model))
            except TuningError as mistake:
                obstacle = obstacle or mistake.sentence
            yield compared(technique, described, share, plan, misfit=misfit, obstacle=obstacle)

    def reward_runs(self, model: str) -> list[Run]:
        """Return the runs that left a reward model for this model, newest first."""
        described = self._catalog.resolve(model)
        return [run for run in self._store.runs() if _judges_for(run, described)]

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
        chosen, described, machine = (
            technique_of(technique),
            self._catalog.resolve(model),
            host_hardware(self._directory),
        )
        if dataset is None:
            return self._with_reward_run(_resolved(chosen, described, 0, {}, settings, machine), described)
        rows = self._library.dataset(dataset)
        training = rows.rows - len(self._library.held_out(dataset).indices)
        example = self._library.example_of(rows)
        given = example.settings.get(technique, {}) if example and described.id == "starter" else {}
        return self._with_reward_run(_resolved(chosen, described, training, given, settings, machine), described)

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

    def plan(self, choices: PlanChoices) -> TrainingPlan:
        """Check the choices and work out what they will cost.

        Raises:
            PlanError: With every mistake at once.
        """
        self._libraries.wait()
        from engine.training.plan import make_plan

        return make_plan(self.request(choices))

    def fit(self, choices: PlanChoices) -> Fit:
        """Say whether the choices of a plan fit into memory; asked as `plan` is, and raises as it does, but not for memory."""
        self._libraries.wait()
        from engine.training.plan import priced

        request = self.request(choices)
        return fit_of(priced(request).estimate.memory_total_bytes, request.hardware)

    def cheapest_change(self, choices: PlanChoices) -> Change | None:
        """Return the cheapest change after which the choices of a plan fit; None when they do, or when none is enough."""
        self._libraries.wait()
        from engine.training.plan import lighter_choice, priced

        request = self.request(choices)
        return lighter_choice(request, priced(request))

    def ways_out(self, choices: PlanChoices) -> list[Change]:
        """Return up to three changes after which the choices of a plan need less memory, the cheapest first."""
        self._libraries.wait()
        from engine.training.plan import priced, ways_to_less_memory

        request = self.request(choices)
        return ways_to_less_memory(request, priced(request))

    def request(self, choices: PlanChoices) -> PlanRequest:
        """Return the choices with all that is known of them, ready to be planned.

        Raises:
            PlanError: When they make no sense whatever the rows are.
        """
        from engine.models.hardware import detect_hardware
        from engine.training.plan import PlanRequest

        technique, dataset, model, settings = choices.technique, choices.dataset, choices.model, choices.settings
        early = self.mistakes_without_data(technique, model, settings)
        if any(not isinstance(mistake, SettingError) for mistake in early):
            raise PlanError(early)
        described, rows = self._catalog.resolve(model), self._library.dataset(dataset)
        kept = (
            HeldOut("file", self._library.dataset(choices.held_out))
            if choices.held_out
            else self._library.held_out(dataset, choices.split)
        )
        defaults = self.hyperparameters(technique, model, dataset, settings)
        counted = self._counted(dataset, described, settings, defaults)
        return PlanRequest(
            technique=technique_of(technique), model=described, dataset=rows, held_out=kept, defaults=defaults,
            settings=settings, hardware=detect_hardware(self._directory),
            mean_tokens=counted.tokens_total / max(1, rows.rows) if counted else 1.0,
            longest_tokens=counted.tokens_p95 if counted else 1,
            trained_tokens=counted.trained_tokens if counted else 1,
            measured_tokens_per_second=measured_speed(self._store.runs(), technique, described, self._store.events),
            labels=self._library.labels(dataset), smaller_models=self._smaller_models(described),
        )  # fmt: skip

    def _smaller_models(self, model: PretrainedModel) -> tuple[PretrainedModel, ...]:
        here = [other for other in self._catalog.models() if other.local and other.parameters < model.parameters]
        return tuple(sorted(here, key=lambda other: -other.parameters))

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


def _resolved(
    technique: Technique, model: PretrainedModel, rows: int, given: Mapping[str, Value], settings: Mapping[str, Value] | None,
    machine: Hardware,
) -> tuple[Hyperparameter, ...]:  # fmt: skip
    return resolved_hyperparameters(
        technique,
        model,
        rows,
        given,
        settings=settings,
        device=machine.device,
        supports_bfloat16=machine.supports_bfloat16,
    )


def _misfit(technique: Technique, rows: Dataset) -> str | None:
    """Return why a technique cannot learn from these rows, or None when it can."""
    combination = Combination(technique, dataset_type=rows.dataset_type, dataset_format=rows.format)
    broken = (rule.sentence(combination) for rule in broken_rules(combination) if rule.setting == "data")
    return reason_against(technique, rows.dataset_type) or next(broken, None)


def _judges_for(run: Run, model: PretrainedModel) -> bool:
    """Whether a run left a reward model for this model."""
    technique = TECHNIQUES.get(run.plan.technique)
    trained = technique is not None and technique.objective in {Objective.REWARD, Objective.RLHF}
    return trained and run.status is RunStatus.FINISHED and run.plan.model.path == model.path
