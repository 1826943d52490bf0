"""An export pushed to the hub: what would become visible is shown whole, and only then can it be sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import gradio as gr

from engine.workspace import HubPush, KeptExport, Workspace
from ui import words
from ui.export_views import title_of
from ui.guard import guarded, guarded_with
from ui.markup import card, pill, sentence, text
from ui.panel import QUIET, panel

Updates: TypeAlias = tuple[object, ...]

MOST_NAME, MOST_TOKEN = 200, 500
NAME_MEANS = (
    "Your name on the hub, a slash, and a name for the model. A repository that holds something is never written to."
)
SEEN_MEANS = "Private: you alone, and whom you let in. Public: everybody, at once."
TOKEN_MEANS = "One that may write, from huggingface.co/settings/tokens. Used for this push and kept nowhere; hf auth login keeps one for good."
FOCUS = """() => setTimeout(() => {
  const name = document.querySelector('#hub-name :is(input, textarea)');
  if (name?.offsetParent) name.focus();
}, 150)"""
"""The push opens under the list, perhaps out of sight; Gradio lays it out a moment after it was told to."""

PRIVATE, PUBLIC = "private", "public"


@dataclass(frozen=True)
class Parts:
    """The components of a push."""

    whole: gr.Column
    title: gr.HTML
    name: gr.Textbox
    seen: gr.Radio
    token: gr.Textbox
    show: gr.Button
    close: gr.Button
    preview: gr.HTML
    send: gr.Button
    export: gr.State
    plan: gr.State

    @property
    def drawn(self) -> list[object]:
        """What another export, or none, draws anew; see `opened` and `CLOSED`."""
        return [
            self.whole, self.title, self.name, self.seen, self.token, self.export, *self.planned
        ]  # fmt: skip

    @property
    def planned(self) -> list[object]:
        """What a plan draws anew; see `planned`."""
        return [self.preview, self.send, self.plan]


def layout() -> Parts:
    """Lay the push out, hidden."""
    with gr.Column(visible=False, elem_id="export-hub") as whole:
        title = panel(elem_id="hub-title")
        with gr.Row(equal_height=False, elem_id="hub-order"):
            name = gr.Textbox(
                label="Repository", info=NAME_MEANS, placeholder="owner/name", max_length=MOST_NAME, lines=1, max_lines=1,
                elem_id="hub-name", min_width=240,
            )  # fmt: skip
            seen = gr.Radio(
                [("Private", PRIVATE), ("Public", PUBLIC)], value=PRIVATE, label="Who sees it", info=SEEN_MEANS,
                elem_id="hub-seen", min_width=200,
            )  # fmt: skip
            token = gr.Textbox(
                label="Token", info=TOKEN_MEANS, type="password", max_length=MOST_TOKEN, visible=False, elem_id="hub-token",
                min_width=240,
            )  # fmt: skip
        preview = panel(elem_id="hub-preview")
        with gr.Row(elem_id="hub-acts", equal_height=False):
            show = gr.Button("Show what will be sent", elem_id="hub-show", scale=0, min_width=190)
            send = gr.Button(
                "Send it", variant="primary", elem_id="hub-send", scale=0, min_width=110, interactive=False
            )
            close = gr.Button("Close", elem_id="hub-close", scale=0, min_width=90)
    return Parts(whole, title, name, seen, token, show, close, preview, send, gr.State(""), gr.State(None))


NOT_PLANNED: Updates = ("", gr.update(interactive=False), None)


def closed() -> Updates:
    """Return what is drawn when nothing is to be pushed; see `Parts.drawn`."""
    return gr.update(visible=False), "", "", PRIVATE, gr.update(value="", visible=False), "", *NOT_PLANNED


def opened(workspace: Workspace, id: str) -> Updates:
    """Return what is drawn for an export that is to be pushed; see `Parts.drawn`."""
    kept = workspace.exports.one(id)
    asks = not workspace.exports.login
    return (
        gr.update(visible=True), title_view(kept, workspace.exports.titles), "", PRIVATE, gr.update(value="", visible=asks), kept.id, *NOT_PLANNED
    )  # fmt: skip


def title_view(kept: KeptExport, titles: Mapping[str, str]) -> str:
    """Return what is to be pushed."""
    return (
        f"<h3>Push to the hub</h3><p>{text(title_of(kept.model.format, kept.model.setting, titles))} of {text(kept.run_name)}, "
        f"{words.bytes_text(kept.model.bytes)}. Nothing is sent before you have seen what will be, and pressed Send it.</p>"
    )


def preview_view(plan: HubPush) -> str:
    """Return all that would become visible, and what should be known before."""
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th><td>{words.bytes_text(size)}</td></tr>' for name, size in plan.files
    )
    total = words.bytes_text(sum(size for _, size in plan.files))
    seen = pill("private", "good") if plan.private else pill("public", "warning")
    cautions = "".join(sentence(caution, "warning", "Caution") for caution in plan.cautions)
    if plan.obstacle:
        cautions = sentence(plan.obstacle, "error", "Not now") + cautions
    login = f"You are known there by {plan.login}." if plan.login else "You are known there by the token above."
    return card(
        f'<p>{seen} <strong class="hub-repository">{text(plan.repository)}</strong> <span class="muted">{text(login)}</span></p>'
        f'<div class="export-table" tabindex="0" role="group" aria-label="Files that will be sent"><table><caption>'
        f"{words.counted(len(plan.files), 'file')}, {total}</caption><tbody>{rows}</tbody></table></div>"
        f'<ul class="findings">{cautions}</ul>',
        title="This will be sent",
    )


def wire(
    workspace: Workspace, parts: Parts, run: gr.Dropdown, looked: Callable[[str], Updates], shown: Sequence[object]
) -> None:  # fmt: skip
    """Wire the push to its own controls.

    Args:
        workspace: The workspace.
        parts: Its components.
        run: Holds the id of the run on view.
        looked: Gives the values of `shown`, the exports as they stand, for a run.
        shown: Drawn anew when something is being sent.
    """

    @guarded
    def show(export: str, name: str, seen: str) -> Updates:
        return planned(workspace, export, name, seen)

    @guarded_with(
        lambda _: (
            *(gr.update(value="") if each is parts.token else gr.skip() for each in parts.drawn),
            *(gr.skip() for _ in shown),
        )
    )
    def send(plan: HubPush | None, token: str, run: str) -> Updates:
        if plan is not None:
            workspace.exports.push(plan, str(token or "")[:MOST_TOKEN])
        return *closed(), *looked(run)

    @guarded
    def close() -> Updates:
        return closed()

    @guarded
    def unplan() -> Updates:
        return NOT_PLANNED

    parts.export.change(None, None, None, js=FOCUS)
    parts.show.click(show, [parts.export, parts.name, parts.seen], parts.planned, **QUIET)
    parts.send.click(send, [parts.plan, parts.token, run], [*parts.drawn, *shown], **QUIET)
    parts.close.click(close, None, parts.drawn, **QUIET)
    for control in (parts.name, parts.seen):
        control.input(unplan, None, parts.planned, **QUIET)


def planned(workspace: Workspace, export: str, name: str, seen: str) -> Updates:
    """Return what would be sent; see `Parts.planned`.

    Raises:
        UsageError: When the name is none, or the export is not as it was written.
    """
    plan = workspace.exports.plan_push(str(export), str(name or "")[:MOST_NAME], seen != PUBLIC)
    verb = "Send it, private" if plan.private else "Send it, for everybody to see"
    return preview_view(plan), gr.update(value=verb, interactive=not plan.obstacle), plan
