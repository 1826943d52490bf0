"""Every format on a run of the shop lesson: seconds, bytes, round trip, speed and score; with `--techniques`, adapter and merged of all.

PYTHONPATH=. .venv/bin/python benchmarks/exports.py [--techniques]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from engine.errors import TuningError
from engine.types import RunStatus
from engine.workspace import ExportedModel, PlanChoices, Workspace

SHOP = {
    "learning_rate": 0.003, "max_steps": 150, "lora_rank": 16, "lora_alpha": 32, "per_device_train_batch_size": 8,
}  # fmt: skip
KINDS = (
    ("adapter", {}), *(("merged", {"dtype": dtype}) for dtype in ("float32", "float16", "bfloat16")), ("bnb_8bit", {}),
    ("bnb_4bit", {}), ("torchao_int8", {}), ("torchao_int4", {}),
    *(("gguf", {"quantisation": kind}) for kind in ("F32", "F16", "BF16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")),
)  # fmt: skip


def every_format(workspace: Workspace, folder: Path) -> None:
    """Export one run to everything, and measure it side by side."""
    data = workspace.data.inspect_example("shop").dataset
    assert data
    run = workspace.train(workspace.plan(PlanChoices("lora", data.fingerprint, "starter", SHOP)))
    made: list[ExportedModel] = []
    for key, settings in KINDS:
        if one := exported(workspace, run.id, key, folder / "-".join((key, *settings.values())), settings):
            made.append(one)
    print("| format | disk MB | weights in memory MB | first token ms | tokens/s | score |\n|---|---|---|---|---|---|")
    for speed in workspace.exports.speeds(run.id, made, rows=60):
        print(
            f"| {speed.format} {speed.setting} | {speed.disk_bytes / 1e6:.2f} | {speed.weight_bytes / 1e6:.2f} "
            f"| {1000 * speed.first_token_seconds:.1f} | {speed.tokens_per_second:.0f} | {speed.score} of {speed.rows} |",
            flush=True,
        )


def every_technique(workspace: Workspace, folder: Path, known: str) -> None:
    """Train two steps of every technique on its first example that fits, and export adapter and merged model."""
    examples = {example.key: example for example in workspace.data.examples()}
    for choice in workspace.planner.techniques():
        key = choice.technique.key
        if f"| {key} adapter" in known:
            continue
        kinds = choice.technique.dataset_types
        fits = (name for name, found in examples.items() if key in found.techniques or found.dataset_type in kinds)
        example = next(fits, None)
        if example is None or not choice.available:
            print(f"| {key} | not trained: {choice.reason or 'no example'} |")
            continue
        data = workspace.data.inspect_example(example).dataset
        assert data
        try:
            run = workspace.train(workspace.plan(PlanChoices(key, data.fingerprint, "starter", {"max_steps": 2})))
        except TuningError as error:
            print(f"| {key} | not trained: {error.sentence} |", flush=True)
            continue
        if run.status is not RunStatus.FINISHED:
            print(f"| {key} | not trained: {run.error} |", flush=True)
            continue
        for form in ("adapter", "merged"):
            exported(workspace, run.id, form, folder / f"{key}-{form}", {}, f"{key} ")


def exported(
    workspace: Workspace, run: str, key: str, out: Path, settings: dict[str, str], title: str = ""
) -> ExportedModel | None:
    """Export once, and print a line of it."""
    began = time.monotonic()
    try:
        *_, last = workspace.exports.steps(run, key, out, settings)
    except TuningError as error:
        print(f"| {title}{key} {' '.join(settings.values())} | {error.found} |", flush=True)
        return None
    one = last.exported
    assert one
    trip = one.round_trip
    print(
        f"| {title}{key} {one.setting} | {time.monotonic() - began:.1f} s | {one.bytes / 1e6:.2f} MB | {trip.same} of {trip.prompts} "
        f"| {trip.max_logit_difference:.2g} |",
        flush=True,
    )
    return one


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--techniques", action="store_true")
    parser.add_argument("--known", type=Path, help="lines of an earlier reading, whose techniques are left out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        opened = Workspace.open(Path(place) / "workspace")
        if chosen.techniques:
            every_technique(opened, Path(place), chosen.known.read_text() if chosen.known else "")
        else:
            every_format(opened, Path(place))
        opened.close()
