"""The bar at the bottom: what Luthier is doing, who holds the accelerator, device, memory, network. It only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gradio as gr

from engine.types import Run, RunStatus
from engine.workspace import Workspace
from ui import words

_BAR = """
<footer class="status" data-tone="rest" aria-label="Status">
<span class="dot" aria-hidden="true"></span><strong data-slot="state" role="status">Starting</strong>
<span data-slot="holder"></span><span data-slot="serving" title="A model that other programs of this machine may ask. It is stopped on Compare, under Export"></span><span class="spring"></span>
<span data-slot="device" title="The device that trains and answers"></span>
<span data-slot="memory" title="Memory of this machine in use, and how much of it is Luthier"></span>
<span data-slot="network" title="Whether this machine has a network connection. Luthier works without one; only downloading models needs it.">
</span></footer>
"""


def status_bar(workspace: Workspace) -> gr.HTML:
    """Return the bar; the page asks `pulse` once a second while it is visible.

    Its value is the id of the run on view, and "behind" when a tab is still drawn for older choices. Its event `turned` says that some run
    changed its status, its name or its tags; `rested`, that a tab is behind and nobody has touched the page for a moment; `woken`, that answers
    wait unread (`is_unheard`): it asks for nothing, and draws nothing over what those answers bring.
    """

    def pulse(asked: object, request: gr.Request) -> Mapping[str, object]:
        ident = asked.get("run") if isinstance(asked, dict) else ""
        unheard = is_unheard(request)
        return {**pulse_of(workspace, ident if isinstance(ident, str) else ""), "unheard": unheard}

    return gr.HTML(
        "", elem_id="status-bar", padding=False, apply_default_css=False, html_template=_BAR,
        js_on_load="luthier.statusBar(element, props, server, {turned: (what) => trigger('turned', what), "
        "rested: () => trigger('rested', {}), woken: () => trigger('woken', {})});",
        server_functions=[pulse],
    )  # fmt: skip


def is_unheard(request: gr.Request) -> bool:
    """Return whether answers for this window lie in Gradio's queue and nobody reads them.

    A page of gradio 6.31 closes its stream when the server has nothing more to say. A click that reaches the server in that
    very moment is worked on, but its answer waits until some later click opens the stream again: to a person the click was
    lost. Two pulses in a row that find an answer waiting make the page send an event, which opens the stream.
    """
    sent = getattr(request, "_json", None)  # gradio gives server functions starlette's request, whose JSON it has read
    session = sent.get("session_hash") if isinstance(sent, dict) else None
    if not isinstance(session, str):
        return False
    answers = request.app.get_blocks()._queue.pending_messages_per_session.get(session)
    return answers is not None and not answers.empty()


def pulse_of(workspace: Workspace, viewed: str) -> Mapping[str, object]:
    """Return what the bar shows now.

    Args:
        workspace: The engine.
        viewed: The run on view, whose progress the strip above the tabs shows; may be unknown.
    """
    runs = workspace.runs()
    active = _most_active(runs)
    on_view = next((run for run in runs if run.id == viewed), None)
    holder = workspace.accelerator_holder()
    hardware = workspace.hardware()
    return {
        "tone": words.RUN_TONE[active.status] if active else "busy" if holder else "good",
        "words": {
            "state": state_text(active, holder),
            "holder": holder_text(active, holder),
            "serving": serving_text(workspace),
            "device": f"{hardware.name}, {words.counted(hardware.cores, 'core')}" if hardware.device == "cpu" else hardware.name,
            "memory": f"Memory {words.bytes_text(hardware.host_memory_used_bytes)} of "
            f"{words.bytes_text(hardware.host_memory_total_bytes)} · Luthier {words.bytes_text(hardware.process_memory_bytes)}",
        },
        "train": train_text(on_view) if on_view else "",
        "turn": "|".join(f"{run.id}:{run.status}:{run.wish or ''}:{run.name}:{','.join(run.tags)}" for run in runs[:50]),
    }  # fmt: skip


def _most_active(runs: Sequence[Run]) -> Run | None:
    """Return the run that trains, or else the first that waits."""
    active = [run for run in runs if run.status.is_active]
    return min(active, key=lambda run: (run.status is RunStatus.QUEUED, run.place or 0.0), default=None)


def state_text(active: Run | None, holder: str | None) -> str:
    """Return what is going on in a few words."""
    if active:
        return train_text(active)
    return "Answering" if holder else "Ready"


def holder_text(active: Run | None, holder: str | None) -> str:
    """Return who holds the accelerator, when somebody does and others may have to wait."""
    if not holder:
        return ""
    if active and active.status is RunStatus.QUEUED:
        return f"The processor is held by {holder}; the run waits for it"
    return f"Processor held by {holder}"


def serving_text(workspace: Workspace) -> str:
    """Return that a model is served to other programs, and how often it answered."""
    served = workspace.serving.served
    if served is None:
        return ""
    return f"Serving {served.title}, {words.counted(workspace.serving.answered, 'answer')} given"


def train_text(run: Run) -> str:
    """Return a run's state with its progress: "Training, 34 of 60"."""
    word = words.RUN_IN_WORDS[run.status]
    moving = run.status in {
        RunStatus.RUNNING,
        RunStatus.STOPPING,
        RunStatus.STOPPED,
        RunStatus.INTERRUPTED,
        RunStatus.FAILED,
    }
    return f"{word}, {run.step:,} of {run.steps:,}" if moving and run.steps else word
