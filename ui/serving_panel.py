"""At the foot of the view Export: who is served to other programs, Start and Stop, and how such a program asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import gradio as gr

from engine.types import Run
from engine.workspace import Served, Workspace
from ui import words
from ui.guard import guarded
from ui.markup import empty, sentence, stats
from ui.panel import QUIET, panel
from ui.session import Session

Updates: TypeAlias = tuple[object, ...]

CAUTION = "Only programs of this machine reach it, and only with the key. The key changes at every start."
WHO_MEANS = "One model at a time; starting another one ends the first."


@dataclass(frozen=True)
class Parts:
    """The components of the panel."""

    who: gr.Dropdown
    start: gr.Button
    stop: gr.Button
    state: gr.HTML
    address: gr.Textbox
    key: gr.Textbox
    curl: gr.Code
    python: gr.Code

    @property
    def drawn(self) -> list[object]:
        """What another run draws anew, in the order of `drawn_for`."""
        return [self.who, *self.told]

    @property
    def told(self) -> list[object]:
        """What a start or a stop draws anew."""
        return [self.stop, self.state, self.address, self.key, self.curl, self.python]


def layout() -> Parts:
    """Lay the panel out."""
    gr.HTML("<h3>Serve to other programs</h3>", padding=False)
    with gr.Row(equal_height=False):
        who = gr.Dropdown([], label="Who answers", info=WHO_MEANS, elem_id="serve-who", min_width=240)
        start = gr.Button("Start serving", elem_id="start-serving", scale=0, min_width=140)
        stop = gr.Button("Stop serving", elem_id="stop-serving", scale=0, min_width=140, interactive=False)
    state = panel(elem_id="serve-state")
    with gr.Row():
        address = gr.Textbox(
            label="Address", buttons=["copy"], interactive=False, visible=False, elem_id="serve-address"
        )
        key = gr.Textbox(label="Key", buttons=["copy"], interactive=False, visible=False, elem_id="serve-key")
    curl = gr.Code(label="In a shell", language="shell", interactive=False, visible=False, elem_id="serve-curl")
    python = gr.Code(
        label="In Python, with the package openai",
        language="python",
        interactive=False,
        visible=False,
        elem_id="serve-python",
    )
    return Parts(who, start, stop, state, address, key, curl, python)


def drawn_for(workspace: Workspace, run: Run) -> Updates:
    """Return who can be served, and who is; see `Parts.drawn`."""
    chairs = [chair for chair in workspace.seating.chairs(run.id) if chair.gives == "words"]
    keys = [chair.key for chair in chairs]
    value = "tuned" if "tuned" in keys else next(iter(keys), None)
    return gr.update(choices=[(chair.title, chair.key) for chair in chairs], value=value), *told(workspace, "")


def told(workspace: Workspace, address: str) -> Updates:
    """Return what is served now; without an address, those lines stay as they are. See `Parts.told`."""
    served = workspace.serving.served
    if served is None:
        hidden = gr.update(value="", visible=False)
        nothing = empty("Nothing is served", "Start, and other programs of this machine can ask this model.")
        return gr.update(interactive=False), nothing, hidden, hidden, hidden, hidden
    lines = (address, served.key, curl_line(served, address), python_lines(served, address))
    shown = [gr.update(value=line, visible=True) if address else gr.skip() for line in lines]
    return gr.update(interactive=True), state_view(workspace, served), *shown


def state_view(workspace: Workspace, served: Served) -> str:
    """Return who is served, how often it answered, and what it takes."""
    taken = sum(held.size_bytes for held in workspace.seating.in_memory())
    items = [
        ("Serving", served.title, "who answers"), ("Answered", f"{workspace.serving.answered:,}", "requests since the start"),
        ("Memory", words.bytes_text(taken) if taken else "not loaded yet", "all models in memory now; the first request loads them"),
    ]  # fmt: skip
    return stats(items, label="What is served") + f'<ul class="findings">{sentence(CAUTION, "warning", "Caution")}</ul>'


def curl_line(served: Served, address: str) -> str:
    """Return how a shell asks."""
    body = f'{{"model": "{served.model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    return (
        f"curl {address}/chat/completions -H 'Authorization: Bearer {served.key}' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def python_lines(served: Served, address: str) -> str:
    """Return how Python asks."""
    return (
        f"from openai import OpenAI\n\nclient = OpenAI(base_url={address!r}, api_key={served.key!r})\n"
        f"answer = client.chat.completions.create(\n    model={served.model!r},\n"
        '    messages=[{"role": "user", "content": "Hello!"}],\n)\nprint(answer.choices[0].message.content)\n'
    )


def wire(workspace: Workspace, session: Session, parts: Parts, run: gr.Dropdown) -> None:
    """Wire the panel to its own controls."""

    @guarded
    def start(request: gr.Request, run: str, who: str) -> Updates:
        workspace.serving.start(run, str(who or ""))
        return told(workspace, f"http://{request.headers['host']}/v1")

    @guarded
    def stop() -> Updates:
        workspace.serving.stop()
        return told(workspace, "")

    @guarded
    def look() -> object:
        served = workspace.serving.served
        return gr.skip() if served is None else state_view(workspace, served)

    parts.start.click(start, [run, parts.who], parts.told, **QUIET)
    parts.stop.click(stop, None, parts.told, **QUIET)
    gr.Timer(5).tick(look, None, parts.state, **QUIET)
