"""The components of the view of receipts: what to ask, the button that asks it, and the receipt beside them."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ui.panel import panel

MAKE, AGAIN = "Make the receipt", "Make it again"
WAYS_MEAN = "Other ways to answer, set beside the base and the tuned model, which are always asked. Each takes about as long as the base."
ROWS_MEAN = "How many held-out rows are asked. Fewer is quicker and less sure."
SHOWS_ROWS_MEANS = "On: three rows with both answers stand on the page and in its files. Off: no text of a row does. Turn it off where rows are private."

JUDGE_MEANS = (
    "Reads both answers to each row, in both orders, and says which it finds better; first it is tried where the right answer is known. Take a "
    "model larger than the tuned one, of the list or by the path of its folder. Nobody judges by default."
)
NOT_JUDGED_MEANS = "This run gives no answers in words that could be judged, or no rows were held out."
OTHER_MEANS = "Another run that has a receipt; the main figures of both then stand side by side."
NO_OTHER_MEANS = "No other run has a receipt yet. Make one of another run, and both can be set side by side here."


@dataclass(frozen=True)
class Parts:
    """The components of the view."""

    make: gr.Button
    stop: gr.Button
    progress: gr.HTML
    rows: gr.Number
    ways: gr.CheckboxGroup
    judge: gr.Dropdown
    shows_rows: gr.Checkbox
    foreseen: gr.HTML
    other: gr.Dropdown
    summary: gr.HTML
    beside: gr.HTML
    page: gr.HTML

    @property
    def drawn(self) -> list[object]:
        """What another run draws anew, in the order of `drawn_for`. Not the button that is off while a receipt is made, whatever is on view."""
        return [self.rows, self.ways, self.judge, self.foreseen, *self.shown]

    @property
    def shown(self) -> list[object]:
        """What a receipt draws anew."""
        return [self.make, self.summary, self.page, self.other, self.beside]


def layout() -> Parts:
    """Lay the view out."""
    with gr.Row(elem_id="receipt-layout", equal_height=False):
        with gr.Column(elem_id="receipt-tools", elem_classes="panel-column", min_width=240):
            make = gr.Button(MAKE, variant="primary", elem_id="make-receipt")
            stop = gr.Button("Stop", elem_id="stop-receipt", visible=False)
            progress = panel(elem_id="receipt-progress")
            foreseen = panel(elem_id="receipt-foreseen")
            rows = gr.Number(
                200,
                precision=0,
                minimum=1,
                maximum=200,
                label="Rows to ask",
                info=ROWS_MEAN,
                elem_id="receipt-rows",
                elem_classes="plain-block",
            )
            ways = gr.CheckboxGroup(
                [], label="Other ways beside it", info=WAYS_MEAN, elem_id="receipt-ways", elem_classes="plain-block"
            )
            judge = gr.Dropdown(
                [], label="Judge model", info=JUDGE_MEANS, elem_id="receipt-judge", elem_classes="plain-block", interactive=True,
                allow_custom_value=True,
            )  # fmt: skip
            shows_rows = gr.Checkbox(
                True,
                label="Show some rows on the page",
                info=SHOWS_ROWS_MEANS,
                elem_id="receipt-shows-rows",
                elem_classes="plain-block",
            )
            other = gr.Dropdown(
                [], label="Beside the receipt of", info=OTHER_MEANS, elem_id="receipt-other", elem_classes="plain-block", interactive=True,
                filterable=False,
            )  # fmt: skip
        with gr.Column(elem_id="receipt-shown", min_width=320):
            summary = panel(elem_id="receipt-summary")
            beside = panel(elem_id="receipt-beside")
            page = gr.HTML(
                elem_id="receipt-page",
                padding=False,
                apply_default_css=False,
                js_on_load="luthier.receiptPage(element);",
            )
    return Parts(make, stop, progress, rows, ways, judge, shows_rows, foreseen, other, summary, beside, page)
