"""At the foot of the view Export: who is served to other programs, Start and Stop, and how such a program asks.

The panel has no clock of its own: the status bar says what is served and how often it answered, and when that changes the panel looks again.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

import gradio as gr

from engine.types import Run
from engine.workspace import Served, Workspace
from ui import words
from ui.guard import guarded
from ui.markup import empty, sentence, stats
from ui.panel import QUIET
from ui.session import Session

Updates: TypeAlias = tuple[object, ...]

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
CAUTION = "Only programs of this machine reach it, and only with the key. The key changes at every start."
NOTHING_MEANS = (
    "Press Start serving, and other programs of this machine can ask this model as they would ask OpenAI's chat. An address, a key and lines "
    "to copy then stand here."
)
WHO_MEANS = "One model at a time; starting another one ends the first."
ANSWERED_MEANS = "Requests that were answered to their end since the start"
MEMORY_MEANS = "All models in memory now; the first request loads the served one"


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
        return [self.start, self.stop, self.state, self.address, self.key, self.curl, self.python]


def layout() -> Parts:
    """Lay the panel out. The event `moved` of its state says that something was started, stopped or answered."""
    gr.HTML("<h3>Serve to other programs</h3>", padding=False)
    with gr.Row(equal_height=False, elem_id="serve-order"):
        who = gr.Dropdown([], label="Who answers", info=WHO_MEANS, elem_id="serve-who", min_width=240)
        start = gr.Button("Start serving", variant="primary", elem_id="start-serving", scale=0, min_width=140)
        stop = gr.Button("Stop serving", elem_id="stop-serving", scale=0, min_width=140, interactive=False)
    state = gr.HTML(
        elem_id="serve-state", padding=False, apply_default_css=False,
        js_on_load="luthier.serving(element, () => trigger('moved', {}));",
    )  # fmt: skip
    with gr.Row(equal_height=False, elem_id="serve-to-copy"):
        address = _to_copy("Address", "serve-address")
        key = _to_copy("Key", "serve-key")
    curl = _code("In a shell", "serve-curl")
    python = _code("In Python, with the package openai", "serve-python")
    return Parts(who, start, stop, state, address, key, curl, python)


def _to_copy(label: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(
        label=label, buttons=["copy"], interactive=False, visible=False, elem_id=elem_id, max_lines=1, min_width=260
    )  # fmt: skip


def _code(label: str, elem_id: str) -> gr.Code:
    return gr.Code(label=label, interactive=False, visible=False, elem_id=elem_id, lines=1)


def drawn_for(workspace: Workspace, run: Run) -> Updates:
    """Return who can be served, and who is; see `Parts.drawn`."""
    chairs = [chair for chair in workspace.seating.chairs(run.id) if chair.gives == "words"]
    keys = [chair.key for chair in chairs]
    value = "tuned" if "tuned" in keys else next(iter(keys), None)
    return gr.update(choices=[(chair.title, chair.key) for chair in chairs], value=value), *told(workspace)


def told(workspace: Workspace) -> Updates:
    """Return what is served now, and how a program asks it; see `Parts.told`."""
    served = workspace.serving.served
    if served is None:
        hidden = gr.update(value="", visible=False)
        nothing = empty("Nothing is served", NOTHING_MEANS)
        return gr.update(variant="primary"), gr.update(interactive=False), nothing, hidden, hidden, hidden, hidden
    lines = (served.address, served.key, curl_line(served), python_lines(served))
    shown = [gr.update(value=line, visible=True) for line in lines]
    return gr.update(variant="secondary"), gr.update(interactive=True), state_view(workspace, served), *shown


def state_view(workspace: Workspace, served: Served) -> str:
    """Return who is served, how often it answered, and what it takes."""
    taken = sum(held.size_bytes for held in workspace.seating.in_memory())
    items = [
        ("Serving", served.title, "Who answers"), ("Answered", f"{workspace.serving.answered:,}", ANSWERED_MEANS),
        ("Memory", words.bytes_text(taken) if taken else "not loaded yet", MEMORY_MEANS),
    ]  # fmt: skip
    return stats(items, label="What is served") + f'<ul class="findings">{sentence(CAUTION, "warning", "Caution")}</ul>'


def curl_line(served: Served) -> str:
    """Return how a shell asks."""
    body = json.dumps({"model": served.model, "messages": [{"role": "user", "content": "Hello!"}]})
    headers = (f"Authorization: Bearer {served.key}", "Content-Type: application/json")
    asked = [
        f"curl {shlex.quote(f'{served.address}/chat/completions')}",
        *(f"-H {shlex.quote(one)}" for one in headers),
    ]
    return " \\\n  ".join([*asked, f"-d {shlex.quote(body)}"])


def python_lines(served: Served) -> str:
    """Return how Python asks."""
    return (
        f"from openai import OpenAI\n\nclient = OpenAI(base_url={served.address!r}, api_key={served.key!r})\n"
        f"answer = client.chat.completions.create(\n    model={served.model!r},\n"
        '    messages=[{"role": "user", "content": "Hello!"}],\n)\nprint(answer.choices[0].message.content)\n'
    )


def address_of(host: str) -> str:
    """Return under which address programs of this machine reach a window that was opened at a host, which the door has let in."""
    found = urlsplit(f"//{host}")
    port = f":{found.port}" if found.port else ""
    return f"http://{host if found.hostname in LOOPBACK else f'127.0.0.1{port}'}/v1"


def wire(workspace: Workspace, session: Session, parts: Parts, run: gr.Dropdown) -> None:
    """Wire the panel to its own controls."""

    @guarded
    def start(request: gr.Request, run: str, who: str) -> Updates:
        return started(workspace, request.headers["host"], run, who)

    @guarded
    def stop() -> Updates:
        return stopped(workspace)

    @guarded
    def look() -> Updates:
        return told(workspace)

    parts.start.click(start, [run, parts.who], parts.told, **QUIET)
    parts.stop.click(stop, None, parts.told, **QUIET)
    parts.state.moved(look, None, parts.told, **QUIET)


def started(workspace: Workspace, host: str, run: str, who: object) -> Updates:
    """Serve a chair of a run, and return what is told then.

    Raises:
        UsageError: When there is no such run or chair, or it gives no text.
    """
    workspace.serving.start(run, str(who or ""), address_of(host))
    return told(workspace)


def stopped(workspace: Workspace) -> Updates:
    """Serve nobody, and return what is told then."""
    workspace.serving.stop()
    return told(workspace)
