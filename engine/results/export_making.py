"""One export while it is made: the run's model is asked, written, loaded by other means, asked again, and only then kept."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import DataError, ModelError, RunError
from engine.models.accelerator import Accelerator
from engine.models.decoding import Message, encode_prompt
from engine.models.loading import LOAD_ERRORS, load_tokenizer
from engine.models.tuned import Recipe, recipe_of
from engine.results.export import ExportedModel, ExportFormat, ExportProgress, RoundTrip
from engine.results.export_folder import files_of, new_folder
from engine.results.export_writers import GGUF_FILE, WRITERS, Subject, by_converter, public_name
from engine.results.gguf_trial import ask_llama_cpp
from engine.results.round_trip import (
    Probes,
    Stopped,
    Witness,
    compare,
    foreign_prompts,
    own_prompts,
    probe_conversations,
    witness,
)
from engine.types import Run

CARD = "README.md"
MOST_VIRTUAL_TOKENS = 128
"""Places of the context that are kept free for tokens of a method's own, and for an answer."""

OTHER_FILES_BYTES = 32 * 2**20
"""Tokenizer, template and card."""

BYTES_A_WEIGHT = {
    "bnb_8bit": 5.5, "bnb_4bit": 5.0, "torchao_int8": 5.5,
    "float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "F32": 4.0, "F16": 2.0, "BF16": 2.0, "Q8_0": 1.07,
    "Q5_1": 0.8, "Q5_0": 0.75, "Q4_1": 0.7, "Q4_0": 0.65,
}  # fmt: skip
"""Of a format or the value of its setting; a matrix that cannot be rounded in blocks stays wider, and what is rounded while it is loaded lies there whole first."""


@dataclass(frozen=True)
class ExportOrder:
    """What is to be exported, and where to.

    Attributes:
        run: The run.
        checkpoint: The weights that speak for it.
        row: The format.
        choice: The value of its setting; empty without one.
        out: The folder; new or empty.
        card: What the run was, as Markdown.
        wait: Whether to wait for the accelerator.
    """

    run: Run
    checkpoint: Path
    row: ExportFormat
    choice: str
    out: Path
    card: str
    wait: bool = True


def export_steps(
    order: ExportOrder, accelerator: Accelerator, stopped: Callable[[], bool] = lambda: False
) -> Iterator[ExportProgress]:
    """Export a run, telling the progress; the last holds the result, and of one that was stopped there is none and nothing stays.

    Args:
        order: What, and where to.
        accelerator: Whom to ask before computing.
        stopped: Asked at every token and between all parts.

    Raises:
        RunError: When the exported model is not the run's, or something else computes.
        DiskFull: When there is no room.
        UsageError: When the place is taken.
    """
    began = time.monotonic()
    try:
        with new_folder(order.out, _bytes_of(order)) as folder:
            yield ExportProgress("Waiting for the accelerator", 0.0)
            with accelerator.hold(f"exporting {order.run.name}", wait=order.wait, cancelled=stopped):
                trip = yield from _write_and_try(order, folder, stopped)
            _write_card(order, folder, trip)
            files, size = files_of(folder)
            if stopped():
                raise Stopped
    except (Stopped, RunError):
        if not stopped():
            raise
        return
    seconds = time.monotonic() - began
    yield ExportProgress("Done", 1.0, ExportedModel(order.row.key, order.choice, order.out, files, size, trip, seconds))


def _write_and_try(
    order: ExportOrder, folder: Path, stopped: Callable[[], bool]
) -> Generator[ExportProgress, None, RoundTrip]:
    recipe, writer = reference_recipe(order.run), WRITERS[order.row.key]
    yield ExportProgress("Loading the run's model", 0.05)
    tokenizer, model = load_tokenizer(recipe.model), recipe.tuned(order.checkpoint)
    probes = probes_of(order.run, recipe, stopped)
    yield ExportProgress(f"Asking it {len(probes.conversations)} questions", 0.2)
    ours = witness(model, tokenizer, own_prompts(tokenizer, probes), probes)
    yield ExportProgress("Writing", 0.45)

    def between() -> None:
        if stopped():
            raise Stopped

    subject = Subject(order.run.name, recipe, order.checkpoint, model, tokenizer, order.choice, between)
    writer.write(subject, folder)
    del model, subject
    gc.collect()
    between()
    yield ExportProgress("Loading what was written, by other means", 0.65)
    trip = _try(order, folder, recipe, probes, ours)
    gc.collect()
    if order.row.for_llama_cpp and not trip.problem:
        yield ExportProgress("Asking llama.cpp the same", 0.85)
        same = trip.tolerance.same
        said = ask_llama_cpp(folder / GGUF_FILE, tokenizer, probes, ours, order.choice, same)
        trip = replace(trip, llama_cpp=said)
    if trip.problem:
        raise RunError(
            "what was written is not the model of the run, so it was removed", where=order.run.name, found=trip.problem,
            next_step="Choose a format that rounds less, for example merged.",
        )  # fmt: skip
    return trip


def _try(order: ExportOrder, folder: Path, recipe: Recipe, probes: Probes, ours: Witness) -> RoundTrip:
    """Load a folder as a stranger would and ask it the same."""
    try:
        foreign = WRITERS[order.row.key].load(folder, recipe)
    except LOAD_ERRORS as error:
        raise RunError(
            "what was written cannot be loaded, so it was removed", where=order.run.name,
            found=(str(error).strip() or type(error).__name__).splitlines()[0][:200],
            next_step="Choose another format, for example merged.",
        ) from error  # fmt: skip
    prompts = foreign_prompts(foreign.tokenizer, probes)
    theirs = witness(foreign.model, foreign.tokenizer, prompts, probes)
    return compare(ours, theirs, order.row.tolerances[order.choice], foreign.loaded_by)


def reference_recipe(run: Run) -> Recipe:
    """Return how the model of a run is loaded to be exported: in full precision, where there is most memory.

    An adapter that learnt on a base in 4 bits is put onto the base as it was published, and that is what its exports are set beside.
    """
    return replace(recipe_of(run.plan), quantisation=None, dtype="float32", device="cpu")


def probes_of(
    run: Run, recipe: Recipe, stopped: Callable[[], bool] = lambda: False,
    conversations: tuple[tuple[Message, ...], ...] | None = None,
) -> Probes:  # fmt: skip
    """Return what the model of a run is asked; questions that its context does not hold are left out.

    Args:
        run: The run.
        recipe: How its model is loaded.
        stopped: Asked at every token.
        conversations: What is asked; None takes up to 20 questions of the run's rows.

    Raises:
        RunError: When there is nothing to ask.
    """
    tokenizer = load_tokenizer(recipe.model)
    room = recipe.model.context_length_tokens - MOST_VIRTUAL_TOKENS
    fitting = []
    for turns in conversations or probe_conversations(run.plan):
        try:
            encode_prompt(turns, tokenizer, room, plain_text=recipe.plain_text)
        except (DataError, ModelError):
            continue
        fitting.append(turns)
    if not fitting:
        raise RunError(
            "there is no question to try the export with", where=run.name, next_step="Train on rows with questions that fit the model."
        )  # fmt: skip
    return Probes(tuple(fitting), recipe.plain_text, room, not recipe.outputs, stopped)


def _bytes_of(order: ExportOrder) -> int:
    plan = order.run.plan
    widths = BYTES_A_WEIGHT.get(order.row.key) or BYTES_A_WEIGHT.get(order.choice, 2.0)
    if order.row.key == "adapter":
        return sum(path.stat().st_size for path in order.checkpoint.glob("adapter_*")) + OTHER_FILES_BYTES
    if order.row.for_llama_cpp and by_converter(reference_recipe(order.run)):
        widths += BYTES_A_WEIGHT["float32"]  # of the merged model that the converter reads
    return int(plan.model.parameters * widths) + OTHER_FILES_BYTES


def _write_card(order: ExportOrder, folder: Path, trip: RoundTrip) -> None:
    """Write the model card: how to load it, how it was tried, and what the run was."""
    recipe = reference_recipe(order.run)
    rounding = f", {order.row.setting} {order.choice}" if order.choice else ""
    licence = order.run.plan.model.licence
    text = "\n".join([
        "---", f"base_model: {public_name(recipe)}", f"license: {licence if licence.replace('-', '').replace('.', '').isalnum() else 'other'}",
        "library_name: " + ("peft" if order.row.key == "adapter" else "gguf" if order.row.key == "gguf" else "transformers"), "---", "",
        f"Exported by Luthier as {order.row.title}{rounding}.", "", "## How to load it", "", WRITERS[order.row.key].usage(recipe, order.choice), "",
        "## How it was tried", "",
        f"Loaded by {trip.loaded_by} from this folder and asked {trip.prompts} questions, greedily: {trip.same} answers had the very same "
        f"tokens as those of the run's own weights in float32. The largest difference of a logit was {trip.max_logit_difference:.3g} "
        f"(allowed: {trip.tolerance.logits:g}). Prompts and stop tokens were the same.", "",
        *([trip.llama_cpp.sentence, ""] if trip.llama_cpp else []),
        "## Licence", "", f"The base model's licence is said to be: {licence}. What is made of a model is bound by it too.", "",
        order.card,
    ])  # fmt: skip
    (folder / CARD).write_text(text, encoding="utf-8")
