"""Verbs of the command line in which models answer: advise, chat, evaluate, export. The others, and the line itself, stand in `__main__.py`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from engine.errors import DataError, RunError, UsageError
from engine.workspace import GenerationSettings, Inquiry, Workspace, checked_answers


def fingerprint_of(workspace: Workspace, file: str) -> str:
    """Read a file and return the fingerprint of its rows.

    Raises:
        DataError: When its rows cannot be used.
    """
    inspection = workspace.data.inspect(Path(file))
    if inspection.dataset is None:
        raise DataError(inspection.message.removeprefix(f"{Path(file).name}: "), where=str(file))
    return inspection.dataset.fingerprint


def length(text: str) -> int:
    """Read a number of tokens or rows, as argparse wants it."""
    length = int(text)
    if length < 1:
        raise ValueError("a length is at least 1")
    return length


@contextmanager
def signals_call(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call this instead of ending the process."""
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def advise(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Say whether to fine-tune at all, and measure the lighter means first when asked to."""
    room, answers = workspace.advice, checked_answers(_json_of(Path(arguments.answers)))
    found = None
    if arguments.data:
        held_out = fingerprint_of(workspace, arguments.held_out) if arguments.held_out else None
        found = room.found(Inquiry(fingerprint_of(workspace, arguments.data), arguments.model, held_out))
    if arguments.measure:
        if found is None:
            raise UsageError("there is nothing to measure on", next_step="Add --data with a file of your rows.")
        arms = room.possible_arms(found)
        rows, stopped = arguments.rows or room.suggested_rows(found, arms), threading.Event()
        with signals_call(stopped.set):
            for progress in room.measure(found, arms, rows, stopped.is_set):
                print(f"{progress.arm}: {progress.done} of {progress.total}", file=sys.stderr)
    advice = room.advise(answers, arguments.model, found)
    check = room.check(answers, arguments.model, found) if found else None
    shown = ("arm", "score", "metric", "rows", "seconds", "prompt_tokens", "latency_seconds", "run", "title", "found")
    scores = room.evidence(found) if found else ()
    arms_json = [
        {name: getattr(score, name) for name in shown} | {"interval": [score.low, score.high]} for score in scores
    ]
    return {
        "verdict": advice.means.value, "technique": advice.technique, "reasons": list(advice.reasons), "rule": advice.rule,
        "source": advice.source, "would_change": list(advice.would_change), "hosted": advice.hosted,
        "check": asdict(check) if check else None, "evidence": {"arms": arms_json},
    }  # fmt: skip


def _json_of(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            "the answers cannot be read", where=str(path), found=str(error)[:200], expected="a JSON object; {} is enough"
        ) from error  # fmt: skip


def evaluate(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Say what a run really learned: scores of several arms on held-out rows, and the receipt."""
    data = fingerprint_of(workspace, arguments.data) if arguments.data else None
    arms = [arm for part in arguments.arms.split(",") if (arm := part.strip())]
    receipt, stopped = None, threading.Event()
    with signals_call(stopped.set):
        for progress in workspace.receipts.make(
            arguments.run, arms=arms, data=data, rows=arguments.rows, judge=arguments.judge, stopped=stopped.is_set
        ):
            print(f"{progress.share:.0%} {progress.doing}", file=sys.stderr)
            receipt = progress.receipt
    if receipt is None:
        raise RunError("the evaluation was stopped", where=arguments.run, next_step="Run it again.")
    lines = [
        {"arm": arm.arm, "score": arm.score, "interval": [arm.low, arm.high], "rows": arm.rows, "right": arm.right}
        for arm in receipt.arms
    ]
    return {"metric": receipt.metric, "arms": lines, "receipt": receipt.to_json()}


def add_advise(parser: argparse.ArgumentParser) -> None:
    """Say which arguments `advise` takes."""
    parser.add_argument("answers")
    for name in ("--data", "--held-out"):
        parser.add_argument(name)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--rows", type=length)


def chat(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Let base and tuned model answer one prompt."""
    settings = GenerationSettings(
        temperature=arguments.temperature, max_new_tokens=arguments.max_new_tokens, seed=arguments.seed
    )
    system = [{"role": "system", "content": arguments.system}] if arguments.system else []
    messages = [*system, {"role": "user", "content": arguments.prompt}]
    answers: dict[str, object] = {}
    for chunk in workspace.listening.chat(arguments.run, messages, settings, checkpoint=arguments.checkpoint):
        answers[chunk.arm] = {"text": chunk.text, "tokens": chunk.tokens, "seconds": chunk.seconds}
    return answers


def add_chat(parser: argparse.ArgumentParser) -> None:
    """Say which arguments `chat` takes."""
    parser.add_argument("run")
    parser.add_argument("--checkpoint", type=int)
    parser.add_argument("--system", default="")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--max-new-tokens", type=int, default=256)


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Say which arguments `evaluate` takes."""
    parser.add_argument("run")
    parser.add_argument("--data", help="rows to ask instead of the plan's held-out ones")
    parser.add_argument("--arms", default="base,few_shot,retrieval,tuned", help="ways to answer, with commas between")
    parser.add_argument("--rows", type=length, default=200, help="rows to ask at most")
    parser.add_argument("--judge", default="", help="a model that is to compare the answers too; none by default")


def export(workspace: Workspace, arguments: argparse.Namespace) -> object:
    """Write the tuned model of a run for other programs, and try it with them; send it to the hub when asked to."""
    if arguments.push:
        _require_askable(workspace, arguments)
    exported, stopped = None, threading.Event()
    with signals_call(stopped.set):
        for progress in workspace.exports.steps(
            arguments.run, arguments.format, Path(arguments.out), settings_of(arguments.set), stopped.is_set
        ):
            print(f"{progress.share:.0%} {progress.doing}", file=sys.stderr)
            exported = progress.exported
    if exported is None:
        raise RunError("the export was stopped", where=arguments.run, next_step="Run it again; nothing was left there.")
    pushed = _push(workspace, arguments, exported.directory) if arguments.push else None
    trip = exported.round_trip
    return {
        "format": exported.format, "setting": exported.setting, "directory": str(exported.directory),
        "files": [str(exported.directory / name) for name in exported.files], "bytes": exported.bytes, "seconds": exported.seconds,
        "round_trip": {
            "prompts": trip.prompts, "same": trip.same, "max_logit_difference": trip.max_logit_difference,
            "same_prompt_tokens": trip.same_prompt_tokens, "same_stop_tokens": trip.same_stop_tokens, "loaded_by": trip.loaded_by,
            "tolerance": asdict(trip.tolerance),
            "llama_cpp": {**asdict(trip.llama_cpp), "sentence": trip.llama_cpp.sentence} if trip.llama_cpp else None,
        },
        **({"pushed": pushed} if pushed else {}),
    }  # fmt: skip


def _require_askable(workspace: Workspace, arguments: argparse.Namespace) -> None:
    """Look before the long export whether it could be sent afterwards."""
    workspace.exports.check_repository(arguments.push)
    if not (arguments.yes or sys.stdin.isatty()):
        raise UsageError("nobody can be asked whether to send this", next_step="Add --yes when you are sure.")
    if not workspace.exports.login:
        raise UsageError(
            "the hub is not told who you are", where=arguments.push, next_step="Run: hf auth login. Or set HF_TOKEN."
        )


def _push(workspace: Workspace, arguments: argparse.Namespace, directory: Path) -> dict[str, object]:
    """Show what a push makes visible, ask, and send it."""
    kept = next(one for one in workspace.exports.kept() if one.model.directory == directory)
    plan = workspace.exports.plan_push(kept.id, arguments.push, not arguments.public)
    lines = (f"  {name}  {size:,} bytes" for name, size in plan.files)
    seen = "private" if plan.private else "PUBLIC"
    print(f"To {plan.repository} ({seen}) will be sent:", *lines, *plan.cautions, sep="\n", file=sys.stderr)
    if not arguments.yes:
        print("Send it? Type yes: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() != "yes":
            return {"repository": plan.repository, "sent": False}
    sent, stopped = False, threading.Event()
    with signals_call(stopped.set):
        for progress in workspace.exports.push_steps(plan, stopped=stopped.is_set):
            print(f"{progress.share:.0%} {progress.doing}", file=sys.stderr)
            sent = progress.share >= 1
    return {
        "repository": plan.repository, "private": plan.private, "files": [name for name, _ in plan.files], "sent": sent
    }  # fmt: skip


def settings_of(pairs: Sequence[str]) -> dict[str, str]:
    """Return what stands in `--set key=value`, as text.

    Raises:
        UsageError: When one has no equals sign.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(
                f"--set {pair!r} has no '='", expected="key=value", next_step="Write --set learning_rate=0.001"
            )
        settings[key.strip()] = value.strip()
    return settings


def add_export(parser: argparse.ArgumentParser) -> None:
    """Say which arguments `export` takes."""
    parser.add_argument("run")
    parser.add_argument("--format", required=True)
    parser.add_argument("--out", required=True, help="a new or an empty folder")
    parser.add_argument("--push", metavar="OWNER/NAME", help="send it to the hub, after showing what becomes visible")
    parser.add_argument("--public", action="store_true", help="let everybody see what is sent; it is private without")
    parser.add_argument("--yes", action="store_true", help="send it without asking")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
