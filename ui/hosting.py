"""The way to a hosted model: files as the two providers want them, with what training there would cost. Nothing is sent from here."""

from __future__ import annotations

import gradio as gr

from engine.errors import UsageError
from engine.workspace import HostedExport, Workspace
from ui.advising import inquiry_of, sentence_of
from ui.choices import Choices
from ui.guard import guarded_with
from ui.markup import card, pill, text
from ui.panel import QUIET, TOKENIZING, panel, picked
from ui.session import Session

MOST_PROBLEMS = 8


def build(workspace: Workspace, session: Session) -> None:
    """Build the section and wire it to the choices."""
    with gr.Accordion("A hosted model instead", open=False, elem_id="hosting"):
        chooser = panel(choosing(workspace, Choices()), elem_id="hosting-choice")
        result = panel(elem_id="hosting-result")
        files = gr.File(label="Files to upload yourself", file_count="multiple", interactive=False, visible=False, elem_id="hosting-files")  # fmt: skip

    @guarded_with(lambda error: (refused(error), gr.update(visible=False)))
    def write(choices: Choices, event: gr.EventData) -> tuple[object, object]:
        inquiry = inquiry_of(choices)
        if inquiry is None:
            raise UsageError("no rows are chosen", next_step="Choose an example or a file on the Data tab.")
        provider = next((one for one in workspace.advice.providers() if one.key == picked(event)), None)
        if provider is None:
            return gr.skip(), gr.skip()
        written = workspace.advice.export_hosted(workspace.advice.found(inquiry), provider.key)
        return exported(written, provider.title), gr.update(value=[str(path) for path in written.files], visible=True)

    chooser.pick(write, session.choices, [result, files], trigger_mode="once", **TOKENIZING)
    session.looked.change(
        lambda choices: (choosing(workspace, choices), "", gr.update(value=None, visible=False)), session.choices,
        [chooser, result, files], **QUIET,
    )  # fmt: skip


def choosing(workspace: Workspace, choices: Choices) -> str:
    """Return what the section is for, and a button for each provider."""
    closed = choices.dataset is None
    why = ' disabled title="Choose rows first"' if closed else ""
    buttons = "".join(
        f'<button type="button" class="button" data-pick="{text(one.key)}"{why}>Write files for {text(one.title)}</button> '
        for one in workspace.advice.providers()
    )
    return (
        '<p class="help">Some models are tuned only at their provider, and sometimes that is the better way: no machine of yours, larger models, and '
        "your rows leave the house. Luthier checks your rows and writes them as the provider wants them. It asks for no key and sends nothing.</p>"
        f'<p class="hosting-buttons">{buttons}</p>'
    )


def exported(written: HostedExport, title: str) -> str:
    """Return what was written, what was left out, and what it would cost."""
    costs = "".join(f"<li>{text(cost.sentence)}</li>" for cost in written.costs)
    problems = "".join(f"<li>{text(problem.message)}</li>" for problem in written.problems[:MOST_PROBLEMS])
    left = f"<h3>{written.skipped:,} left out, or worth a look</h3><ul>{problems}</ul>" if problems else ""
    notice = f"<p>{pill('Know this', 'warning')} {text(written.notice)}</p>" if written.notice else ""
    return card(
        f"<p>{written.rows:,} rows to train on and {written.held_out_rows:,} to check with, as {text(written.method)} rows. About "
        f"{written.estimated_tokens:,} tokens ({text(written.tokens_said)}), seen {written.epochs} times ({text(written.epochs_said)}).</p>{notice}"
        f"<h3>What training would cost</h3><ul>{costs}</ul><p class=\"help\">{text(written.prices_note)}</p>"
        f"{left}"
        f'<p class="help">Written to {text(written.files[0].parent)}. The provider\'s own guide: {text(written.docs)}</p>',
        title=f"Ready for {title}", classes="hosting-card",
    )  # fmt: skip


def refused(error: Exception) -> str:
    """Return why nothing was written."""
    return card(f'<p role="alert">{text(sentence_of(error))}</p>', title="Nothing was written", classes="mistake")
