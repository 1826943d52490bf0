"""The components of the chat: panes and who sits in them, the talk, the box, and how answers are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from engine.workspace import GenerationSettings
from ui import compare_views
from ui.answering import LONGEST_QUESTION
from ui.conversation import Conversation
from ui.panel import panel

MOST_PANES = 4
STARTER = "starter"
DEFAULTS = GenerationSettings()

TEMPERATURE_MEANS = "0 always takes the likeliest word, so answers repeat exactly. Higher is more varied and less reliable. 0 to 2, default 0."
SEED_MEANS = (
    "Fixes chance: all models draw with the same seed. Matters only above temperature 0. 0 to 2,147,483,647, default 0."
)
TOP_P_MEANS = "Above temperature 0: only the likeliest words that together have this probability are drawn from. 0.05 to 1, default 1 (all)."
PENALTY_MEANS = "Makes words that were already said less likely. 1 to 2, default 1 (off)."
REMEMBERS_MEANS = (
    "On: each model reads its own earlier answers too. Off: each question stands on its own, so that an early mistake does not colour "
    "what follows. The starter model is too small for long talks, so for it this begins off."
)
PROVING = '<p class="muted">Loads the base once more, by transformers alone, and compares the answers of both word for word, token for token.</p>'
SYSTEM_MEANS = "Put before the first question, for all panes alike; examples that were trained with one begin with it. Empty for none."


@dataclass(frozen=True)
class Parts:
    """The components of the chat."""

    count: gr.Radio
    heads: tuple[gr.Column, ...]
    chairs: tuple[gr.Dropdown, ...]
    labels: tuple[gr.HTML, ...]
    past: gr.HTML
    current: gr.HTML
    chips: gr.HTML
    note: gr.HTML
    question: gr.Textbox
    send: gr.Button
    stop: gr.Button
    again: gr.Button
    clear: gr.Button
    help: gr.HTML
    system: gr.Textbox
    remembers: gr.Checkbox
    temperature: gr.Slider
    longest: gr.Slider
    top_p: gr.Slider
    penalty: gr.Slider
    seed: gr.Number
    memory: gr.HTML
    conversation: gr.State
    editing: gr.State
    thumbs: gr.State
    places: gr.State
    tokens: gr.HTML
    every_step: gr.Button
    scrub: gr.HTML
    prove: gr.Button
    proved: gr.HTML

    @property
    def drawn(self) -> list[object]:
        """What another run draws anew, in the order of `drawn_for`."""
        return [
            self.count, *self.heads, *self.chairs, *self.labels, self.past, self.current, self.chips, self.note, self.help, self.question,
            self.system, self.remembers, self.temperature, self.seed, self.memory, self.conversation, self.editing,
            self.thumbs, self.places, self.tokens, self.scrub, self.proved,
        ]  # fmt: skip

    @property
    def asked_with(self) -> list[object]:
        """What every question is asked with, in the order of `_Setting.of`."""
        return [
            self.conversation, self.thumbs, self.count, *self.chairs, self.system, self.remembers, self.temperature, self.longest, self.top_p,
            self.penalty, self.seed,
        ]  # fmt: skip


def layout() -> Parts:
    """Lay the chat out."""
    with gr.Row(elem_id="pane-tools", equal_height=False):
        count = gr.Radio(
            [("2 panes", 2), ("3", 3), ("4", 4)], value=2, label="How many side by side", show_label=False, container=False,
            elem_id="pane-count", min_width=180, scale=0,
        )  # fmt: skip
        chips = panel(elem_id="chips")
    with gr.Row(elem_id="pane-heads", equal_height=True):
        heads, chairs, labels = zip(*(_head(number) for number in range(1, MOST_PANES + 1)), strict=True)
    with gr.Column(elem_id="talk"):
        past = panel(elem_id="talk-past")
        current = gr.HTML(
            elem_id="talk-current", padding=False, apply_default_css=False, js_on_load="luthier.followed(element, (sent) => trigger('pick', sent));"
        )  # fmt: skip
    note = panel(elem_id="editing")
    with gr.Row(elem_id="ask", equal_height=False):
        question = gr.Textbox(
            label="Ask all of them", show_label=False, container=False, placeholder=compare_views.ANSWERS.placeholder,
            elem_id="question", max_length=LONGEST_QUESTION, scale=1, min_width=260, lines=1, max_lines=5,
        )  # fmt: skip
        send = gr.Button("Send", variant="primary", elem_id="send", scale=0, min_width=84)
        stop = gr.Button("Stop", elem_id="stop-answer", scale=0, min_width=76, interactive=False)
        again = gr.Button("Regenerate", elem_id="regenerate", scale=0, min_width=112, interactive=False)
        every_step = gr.Button("At every checkpoint", elem_id="every-step", scale=0, min_width=184)
        clear = gr.Button("Clear", elem_id="clear", scale=0, min_width=76, interactive=False)
    asked_help = panel(elem_id="ask-help")
    tokens, scrub = panel(elem_id="token-view"), _scrub()
    *settings, prove, proved = _sampling()
    memory = panel(elem_id="in-memory")
    return Parts(
        count, heads, chairs, labels, past, current, chips, note, question, send, stop, again, clear, asked_help, *settings, memory,
        gr.State(Conversation()), gr.State(None), gr.State(frozenset()), gr.State(None), tokens, every_step, scrub, prove, proved,
    )  # fmt: skip


def _head(number: int) -> tuple[gr.Column, gr.Dropdown, gr.HTML]:
    with gr.Column(elem_classes="pane-head", min_width=150, visible=number <= 2) as head:
        chair = gr.Dropdown(
            [], label=f"Who answers in pane {number}", show_label=False, container=False, elem_id=f"chair-{number}", interactive=True,
            filterable=False, min_width=120,
        )  # fmt: skip
        label = panel(elem_id=f"label-{number}")
    return head, chair, label


def _sampling() -> tuple[object, ...]:
    with gr.Accordion(
        "How they answer: system text, memory, temperature, length, seed", open=False, elem_id="sampling"
    ):
        with gr.Row():
            system = gr.Textbox(
                label="System text",
                info=SYSTEM_MEANS,
                lines=1,
                max_lines=4,
                max_length=LONGEST_QUESTION,
                elem_id="system-text",
            )
            remembers = gr.Checkbox(label="Go on with the conversation", info=REMEMBERS_MEANS, elem_id="remembers")
        with gr.Row():
            temperature = gr.Slider(0, 2, DEFAULTS.temperature, step=0.05, label="Temperature", info=TEMPERATURE_MEANS)
            longest = gr.Slider(
                8, 1024, DEFAULTS.max_new_tokens, step=8, label="Longest answer",
                info=f"Answers are cut after this many tokens (pieces of words). 8 to 1,024, default {DEFAULTS.max_new_tokens}.",
            )  # fmt: skip
            seed = gr.Number(DEFAULTS.seed, precision=0, minimum=0, maximum=2**31 - 1, label="Seed", info=SEED_MEANS)
        with gr.Row():
            top_p = gr.Slider(0.05, 1, DEFAULTS.top_p, step=0.05, label="Top-p", info=TOP_P_MEANS)
            penalty = gr.Slider(
                1, 2, DEFAULTS.repetition_penalty, step=0.05, label="Repetition penalty", info=PENALTY_MEANS
            )
        with gr.Row():
            prove = gr.Button("Prove the base pane", elem_id="prove-base", scale=0, min_width=180)
            proved = panel(PROVING, elem_id="proved-base")
    return system, remembers, temperature, longest, top_p, penalty, seed, prove, proved


def _scrub() -> gr.HTML:
    return gr.HTML(
        elem_id="scrub", padding=False, apply_default_css=False, js_on_load="luthier.scrubbed(element, (sent) => trigger('pick', sent));"
    )  # fmt: skip
