"""The engine without a screen: `python -m engine VERB ... [--workspace DIR] [--json]`.

With `--json` exactly one JSON value goes to standard output; progress and logs go to standard error. Exit status: 0 done,
1 a mistake that a person can mend, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from engine.errors import PlanError, TuningError, UsageError
from engine.training.plan import read_plan
from engine.types import Run, Technique, Value
from engine.verbs import (
    add_advise,
    add_chat,
    add_evaluate,
    add_export,
    advise,
    chat,
    evaluate,
    export,
    fingerprint_of,
    length,
    settings_of,
    signals_call,
)
from engine.workspace import PlanChoices, Workspace

if TYPE_CHECKING:
    from engine.data.statistics import DatasetStatistics


class Rejected(Exception):
    """A result that is printed in full and still means exit status 1 (a rejected file, a failed run)."""

    def __init__(self, answer: object) -> None:
        """Keep the result."""
        super().__init__("the result means exit status 1")
        self.answer = answer


def doctor(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Say what works on this machine."""
    return workspace.doctor()


def techniques(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """List the techniques."""
    return [
        _technique_json(workspace, choice.technique) | {"available": choice.available, "reason": choice.reason}
        for choice in workspace.planner.techniques()
    ]


def _technique_json(workspace: Workspace, technique: Technique) -> dict[str, object]:
    shown = ("key", "title", "kind", "default", "low", "high", "unit", "help", "source", "choices")
    rows = workspace.planner.hyperparameters(technique.key, "starter")
    return {
        "key": technique.key,
        "title": technique.title,
        "family": technique.family,
        "method": technique.method.value,
        "objective": technique.objective.value,
        "dataset_type": technique.dataset_types[0].value,
        "dataset_types": [kind.value for kind in technique.dataset_types],
        "guide": asdict(technique.guide),
        "paper": technique.paper,
        "hyperparameters": [{name: getattr(row, name) for name in shown} for row in rows],
    }


def models(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """List the models."""
    shown = ("id", "title", "path", "parameters", "local", "context_length_tokens", "licence")
    return [{name: getattr(model, name) for name in shown} for model in workspace.models()]


def examples(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """List the bundled datasets."""
    shown = (
        "key", "title", "dataset_type", "path", "held_out_path", "rows", "lesson", "techniques", "preset_questions",
        "kept_question",
    )  # fmt: skip
    return [{name: getattr(example, name) for name in shown} for example in workspace.data.examples()]


def inspect(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Say what a file is and what is wrong with it."""
    inspection = workspace.data.inspect(Path(arguments.file))
    statistics: DatasetStatistics | None = None
    if inspection.dataset:
        described = workspace.model(arguments.model)
        length = arguments.max_length or min(1024, described.context_length_tokens)
        statistics = workspace.data.statistics(inspection.dataset.fingerprint, arguments.model, length)
    answer = inspection.to_json() | {"statistics": statistics.to_json() if statistics else None}
    if inspection.verdict == "reject":
        raise Rejected(answer)
    return answer


def plan(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Check the choices and say what they cost."""
    settings: dict[str, Value] = {**settings_of(arguments.set)}
    files, mistakes = [], []
    for file in filter(None, (arguments.data, arguments.held_out)):
        try:
            files.append(fingerprint_of(workspace, file))
        except TuningError as mistake:
            mistakes.append(mistake)
    if mistakes:
        raise PlanError(
            mistakes + workspace.planner.mistakes_without_data(arguments.technique, arguments.model, settings)
        )
    held_out = files[1] if len(files) > 1 else None
    made = workspace.plan(PlanChoices(arguments.technique, files[0], arguments.model, settings, held_out))
    answer = made.to_json()
    if arguments.out:
        try:
            Path(arguments.out).write_text(json.dumps(answer, indent=2), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                "the plan cannot be written", where=arguments.out, found=error.strerror or str(error),
                next_step="Choose another file with --out.",
            ) from error  # fmt: skip
    return answer


def train(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Run a plan here and now; a signal stops it as the Stop button does."""
    made = read_plan(Path(arguments.plan))
    with signals_call(workspace.stop_own_runs):
        run = workspace.train(made)
    return _ended(workspace, run)


def resume(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Go on with a run here and now, from its newest checkpoint that can be trusted."""
    with signals_call(workspace.stop_own_runs):
        run = workspace.resume_here(arguments.run, arguments.checkpoint)
    return _ended(workspace, run)


def _ended(workspace: Workspace, run: Run) -> object:
    answer = workspace.summary(run.id)
    if run.status == "failed":
        raise Rejected(answer)
    return answer


def runs(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """List the runs, newest first."""
    return [_run_json(run) for run in workspace.runs()]


def _run_json(run: Run) -> dict[str, object]:
    return {
        "run": run.id, "name": run.name, "status": run.status.value, "technique": run.plan.technique,
        "model": run.plan.model.id, "data": run.plan.dataset.name, "step": run.step, "steps": run.steps,
        "created": run.created, "asked": run.wish.value if run.wish else None, "notes": run.notes, "tags": list(run.tags),
        "series": run.series,
    }  # fmt: skip


def stop(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Ask a run to stop; it keeps a checkpoint."""
    return _run_json(workspace.stop(arguments.run))


def pause(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Ask a run to give the accelerator back, so that it can go on later."""
    return _run_json(workspace.pause(arguments.run))


def delete(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Delete a run with its files."""
    return _run_json(workspace.delete(arguments.run))


def events(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """List what a run said."""
    return [event.to_json() for event in workspace.events(arguments.run, after=arguments.after)]


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    """The verb takes no arguments of its own."""


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--max-length", type=length)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    for name in ("--technique", "--data", "--model"):
        parser.add_argument(name, required=True)
    parser.add_argument("--held-out")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out")


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run")


def _add_resume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run")
    parser.add_argument("--checkpoint", type=int, metavar="STEP")


def _add_events(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run")
    parser.add_argument("--after", type=int, default=0)


Verb = Callable[[Workspace, argparse.Namespace], object]

VERBS: Mapping[str, tuple[Verb, Callable[[argparse.ArgumentParser], None]]] = {
    "doctor": (doctor, _add_nothing),
    "techniques": (techniques, _add_nothing),
    "models": (models, _add_nothing),
    "examples": (examples, _add_nothing),
    "inspect": (inspect, _add_inspect),
    "advise": (advise, add_advise),
    "plan": (plan, _add_plan),
    "train": (train, _add_train),
    "runs": (runs, _add_nothing),
    "resume": (resume, _add_resume),
    "stop": (stop, _add_run),
    "pause": (pause, _add_run),
    "delete": (delete, _add_run),
    "events": (events, _add_events),
    "chat": (chat, add_chat),
    "evaluate": (evaluate, add_evaluate),
    "export": (export, add_export),
}
"""Each verb: what it does, and the arguments it takes."""


def arguments_from(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; options common to all verbs may stand before or after the verb.

    Raises:
        SystemExit: With status 2, on wrong usage.
    """
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--workspace", type=Path)
    common.add_argument("--json", action="store_true")
    shared, rest = common.parse_known_args(argv)
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", metavar="DIR", help="the folder that holds everything (default: your user data)")
    parser.add_argument("--json", action="store_true", help="print one JSON value on standard output")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (verb, add_arguments) in VERBS.items():
        add_arguments(verbs.add_parser(name, help=verb.__doc__, allow_abbrev=False))
    parsed = parser.parse_args(rest)
    parsed.workspace, parsed.json = shared.workspace, shared.json
    return parsed


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    arguments = arguments_from(sys.argv[1:] if argv is None else argv)
    out = sys.stdout
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # threads that wait for a busy core shall not burn the other one
    try:
        with _everything_else_to_stderr():
            workspace = Workspace.open(arguments.workspace)
            if workspace.rebuilt:
                print(workspace.rebuilt)
            try:
                answer = VERBS[arguments.verb][0](workspace, arguments)
            finally:
                workspace.close()
    except Rejected as rejected:
        _print(rejected.answer, arguments.json, out)
        return 1
    except TuningError as error:
        _print_error(error, arguments.json, out)
        return 1
    _print(answer, arguments.json, out)
    return 0


def _everything_else_to_stderr() -> AbstractContextManager[object]:
    return redirect_stdout(sys.stderr)


def _print(answer: object, as_json: bool, out: TextIO) -> None:
    text = json.dumps(
        _finite(answer), indent=None if as_json else 2, default=str, ensure_ascii=as_json, allow_nan=False
    )
    print(text, file=out)


def _finite(value: object) -> object:
    """JSON has no NaN and no infinity; a loss that was one becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _print_error(error: TuningError, as_json: bool, out: TextIO) -> None:
    print(error.sentence, file=sys.stderr)
    if as_json:
        mistakes = error.mistakes if isinstance(error, PlanError) else (error,)
        answer = {"error": error.to_json(), "mistakes": [mistake.to_json() for mistake in mistakes]}
        print(json.dumps(answer), file=out)


if __name__ == "__main__":
    sys.exit(main())
