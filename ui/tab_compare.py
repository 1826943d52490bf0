"""The Compare tab: one question, two answers, side by side: by the model as it was and by the model with what it learnt.

Each question is asked on its own, without the talk before it, so that both models see exactly the same words.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import gradio as gr

from engine.errors import UsageError
from engine.types import Run
from engine.workspace import GenerationSettings, Workspace
from ui import compare_views as views
from ui import words
from ui.answering import (
    ARMS,
    LONGEST_QUESTION,
    MOST_TURNS,
    Stops,
    Turn,
    answers,
    checked_question,
    checked_sampling,
)
from ui.choices import Choices
from ui.guard import guarded
from ui.panel import QUIET, panel, picked
from ui.session import Session, choices_of, run_on_view
from ui.the_way import is_comparable

Turns: TypeAlias = tuple[Turn, ...]
Updates: TypeAlias = tuple[object, ...]


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    empty: gr.HTML
    body: gr.Column
    run: gr.Dropdown
    labels: tuple[gr.HTML, gr.HTML]
    panes: tuple[gr.Chatbot, gr.Chatbot]
    chips: gr.HTML
    help: gr.HTML
    wait: gr.HTML
    question: gr.Textbox
    send: gr.Button
    stop: gr.Button
    again: gr.Button
    clear: gr.Button
    temperature: gr.Slider
    longest: gr.Slider
    seed: gr.Number
    difference: gr.HTML
    turns: gr.State
    shown: gr.State


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    parts = _layout()
    _wire_choices(workspace, session, parts)
    _wire_questions(workspace, parts)


def _layout() -> Parts:
    nothing = panel(views.nothing_to_compare(), elem_id="compare-empty")
    with gr.Column(elem_id="compare-body", visible=False) as body:
        with gr.Row(elem_id="compare-tools", equal_height=False):
            panel('<span class="tool-label" aria-hidden="true">Run</span>', elem_id="compare-run-label")
            run = gr.Dropdown(
                [], label="Run to compare", show_label=False, container=False, elem_id="compare-run", interactive=True,
                filterable=False, min_width=320,
            )  # fmt: skip
            wait = panel(elem_id="compare-wait")
        with gr.Row(elem_id="panes", equal_height=True):
            labels, panes = zip(*(_pane(arm) for arm in ARMS), strict=True)
        chips = panel(elem_id="chips")
        with gr.Row(elem_id="ask", equal_height=False):
            question = gr.Textbox(
                label="Ask both models", show_label=False, container=False, placeholder=views.ANSWERS.placeholder,
                elem_id="question", max_length=LONGEST_QUESTION, scale=1, min_width=260, lines=1, max_lines=5,
            )  # fmt: skip
            send = gr.Button("Send", variant="primary", elem_id="send", scale=0, min_width=84)
            stop = gr.Button("Stop", elem_id="stop-answer", scale=0, min_width=76, interactive=False)
            again = gr.Button("Regenerate", elem_id="regenerate", scale=0, min_width=112, interactive=False)
            clear = gr.Button("Clear", elem_id="clear", scale=0, min_width=76, interactive=False)
        asked_help = panel(elem_id="ask-help")
        difference = panel(elem_id="difference")
        temperature, longest, seed = _sampling()
    return Parts(
        nothing, body, run, labels, panes, chips, asked_help, wait, question, send, stop, again, clear, temperature, longest, seed, difference,
        gr.State(()), gr.State(None),
    )  # fmt: skip


def _pane(arm: str) -> tuple[gr.HTML, gr.Chatbot]:
    with gr.Column(elem_id=f"pane-{arm}", elem_classes="pane", min_width=300):
        label = panel(elem_id=f"label-{arm}")
        chat = gr.Chatbot(
            label=f"Answers of the {arm} model", show_label=False, elem_id=f"chat-{arm}", height="100%", render_markdown=False,
            sanitize_html=True, group_consecutive_messages=False, buttons=["copy"], feedback_options=None, layout="bubble",
            allow_file_downloads=False, latex_delimiters=[], container=False,
        )  # fmt: skip
    return label, chat


TEMPERATURE_MEANS = "0 always takes the likeliest word, so answers repeat exactly. Higher is more varied and less reliable. 0 to 2, default 0."
SEED_MEANS = "Fixes chance: both models draw with the same seed. Matters only above temperature 0. 0 to 2,147,483,647, default 0."


def _sampling() -> tuple[gr.Slider, gr.Slider, gr.Number]:
    defaults = GenerationSettings()
    with gr.Accordion("How they answer: temperature, length, seed", open=False, elem_id="sampling"), gr.Row():
        temperature = gr.Slider(0, 2, defaults.temperature, step=0.05, label="Temperature", info=TEMPERATURE_MEANS)
        longest = gr.Slider(
            8, 1024, defaults.max_new_tokens, step=8, label="Longest answer",
            info=f"Answers are cut after this many tokens (pieces of words). 8 to 1,024, default {defaults.max_new_tokens}.",
        )  # fmt: skip
        seed = gr.Number(
            defaults.seed, precision=0, minimum=0, maximum=2**31 - 1, label="Seed", info=SEED_MEANS,
        )  # fmt: skip
    return temperature, longest, seed


def _wire_choices(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def draw(choices: Choices, shown: str | None) -> tuple[object, ...]:
        run = compared_run(workspace, choices)
        if run is None:
            return (gr.update(visible=True), gr.update(visible=False), *(gr.skip(),) * 14)
        options = [(run_title(entry), entry.id) for entry in workspace.runs() if is_comparable(entry)]
        holder = workspace.accelerator_holder()
        head = gr.update(visible=False), gr.update(visible=True), gr.update(choices=options, value=run.id)
        wait = views.busy(holder) if holder else ""
        if shown == run.id:  # the panes keep their answers and what was measured while they were written
            return (*head, wait, run.id, *(gr.skip(),) * 11)
        asking = views.asking_of(run)
        labels = [views.pane_label(None, arm, run, None) for arm in ARMS]
        chips = views.questions(workspace.data.example_of(run.plan.dataset), asking)
        return (*head, wait, run.id, *labels, chips, *_around_the_box(asking), (), [], [], "")

    @guarded
    def choose(run: str) -> Choices:
        return choices_of(workspace, workspace.run(run))

    drawn = [
        parts.empty, parts.body, parts.run, parts.wait, parts.shown, *parts.labels, parts.chips, parts.help, parts.question,
        parts.temperature, parts.seed, parts.turns, *parts.panes, parts.difference,
    ]  # fmt: skip
    session.choices.change(draw, [session.choices, parts.shown], drawn, **QUIET)
    session.status_bar.turned(draw, [session.choices, parts.shown], drawn, **QUIET)
    parts.run.input(choose, parts.run, session.choices, **QUIET)


def _around_the_box(asking: views.Asking) -> tuple[object, ...]:
    """Return what stands under the box, what in it, and temperature and seed, which are off where chance plays no part."""
    why, defaults = asking.chance_reason, GenerationSettings()
    off = {"temperature": defaults.temperature, "seed": defaults.seed} if why else {}
    temperature, seed = (
        gr.update(interactive=not why, info=why or means, **({"value": off[name]} if off else {}))
        for name, means in (("temperature", TEMPERATURE_MEANS), ("seed", SEED_MEANS))
    )
    return views.help_under_the_box(asking), gr.update(placeholder=asking.placeholder), temperature, seed


def compared_run(workspace: Workspace, choices: Choices) -> Run | None:
    """Return the run on view when it can be compared, else the newest that can."""
    on_view = run_on_view(workspace, choices)
    if on_view is not None and is_comparable(on_view):
        return on_view
    return next((run for run in workspace.runs() if is_comparable(run)), None)


def run_title(run: Run) -> str:
    """Return how a run is called in the list."""
    status = words.RUN_IN_WORDS[run.status].lower()
    return f"{run.name} · {words.counted(run.step, 'step')}, {status} · {words.when_text(run.created, time.time())}"


def _wire_questions(workspace: Workspace, parts: Parts) -> None:
    stops = Stops()

    @guarded
    def ask(
        question: str, turns: Turns, run: str, temperature: float, longest: float, seed: float, request: gr.Request
    ) -> Iterator[Updates]:
        sampling = checked_sampling(temperature, longest, seed)
        yield from _streamed(workspace, run, turns, question, sampling, stops, request)

    @guarded
    def ask_preset(
        turns: Turns,
        run: str,
        temperature: float,
        longest: float,
        seed: float,
        event: gr.EventData,
        request: gr.Request,
    ) -> Iterator[Updates]:
        sampling = checked_sampling(temperature, longest, seed)
        yield from _streamed(workspace, run, turns, picked(event), sampling, stops, request)

    @guarded
    def ask_again(
        turns: Turns, run: str, temperature: float, longest: float, seed: float, request: gr.Request
    ) -> Iterator[Updates]:
        if not turns:
            raise UsageError("nothing was asked yet", next_step="Ask a question first.")
        sampling = checked_sampling(temperature, longest, seed)
        sampling = replace(sampling, seed=sampling.seed + 1) if sampling.temperature > 0 else sampling
        yield from _streamed(workspace, run, turns[:-1], turns[-1].question, sampling, stops, request)

    def stop(request: gr.Request) -> object:
        stops.raise_for(request)
        return gr.update(interactive=False)

    def clear(request: gr.Request) -> tuple[object, ...]:
        stops.clear(request)
        off = gr.update(interactive=False)
        return (), [], [], "", gr.update(interactive=True), off, off, off

    updates = [
        parts.turns, *parts.panes, *parts.labels, parts.difference, parts.question, parts.seed, parts.send, parts.stop,
        parts.again, parts.clear,
    ]  # fmt: skip
    settings = [parts.turns, parts.run, parts.temperature, parts.longest, parts.seed]
    model_call = {"concurrency_id": "accelerator", "concurrency_limit": 1, **QUIET}
    writing = [
        *(
            asked(ask, [parts.question, *settings], updates, **model_call)
            for asked in (parts.send.click, parts.question.submit)
        ),
        parts.chips.pick(ask_preset, settings, updates, **model_call),
        parts.again.click(ask_again, settings, updates, **model_call),
    ]
    parts.stop.click(stop, None, parts.stop, queue=False, **QUIET)
    cleared = [parts.turns, *parts.panes, parts.difference, parts.send, parts.stop, parts.again, parts.clear]
    parts.clear.click(clear, None, cleared, cancels=writing, **QUIET)


def _streamed(
    workspace: Workspace,
    run: str,
    turns: Turns,
    question: str,
    sampling: GenerationSettings,
    stops: Stops,
    request: gr.Request,
) -> Iterator[Updates]:
    cleared = stops.clears(request)
    asked, compared = checked_question(question), workspace.run(run)
    example = workspace.data.example_of(compared.plan.dataset)
    earlier, turn = turns[-MOST_TURNS:], Turn(asked)
    yield _updates(compared, earlier, turn, sampling, writing=True)
    is_wanted = True
    try:
        for turn in answers(
            workspace.listening, run, asked, example.system if example else "", sampling, stops.fresh(request)
        ):
            if stops.clears(request) != cleared:
                break
            yield _updates(compared, earlier, turn, sampling, writing=True)
    except GeneratorExit:  # cleared, or the page is gone: nobody takes another update
        is_wanted = False
        raise
    finally:
        stops.raise_for(request)
        if is_wanted and stops.clears(request) == cleared:
            yield _updates(compared, earlier, turn, sampling, writing=False)


def _updates(run: Run, earlier: Turns, turn: Turn, sampling: GenerationSettings, *, writing: bool) -> Updates:
    turns = (*earlier, turn)
    panes = [[message for each in turns for message in _messages(each, arm)] for arm in ARMS]
    labels = [
        views.pane_label(chunk.adapter_active if chunk else None, arm, run, chunk)
        for arm, chunk in zip(ARMS, (turn.base, turn.tuned), strict=True)
    ]
    shows_difference = not writing and views.asking_of(run).differs
    difference = views.difference(turn.text(ARMS[0]), turn.text(ARMS[1])) if shows_difference else ""
    idle, busy = gr.update(interactive=not writing), gr.update(interactive=writing)
    return turns, *panes, *labels, difference, "" if writing else gr.skip(), sampling.seed, idle, busy, idle, idle


def _messages(turn: Turn, arm: str) -> list[dict[str, str]]:
    """Return question and answer as the chat shows them; an answer that has not begun shows three dots."""
    return [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.text(arm) or "…"}]
