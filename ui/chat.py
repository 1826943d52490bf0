"""The chat of the Compare tab: up to four panes, one conversation, the same settings and the same luck for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import gradio as gr

from engine.errors import UsageError
from engine.types import Run
from engine.workspace import Asked, Chair, GenerationSettings, Workspace
from ui import chat_turns, compare_views
from ui import chat_views as views
from ui.answering import LONGEST_QUESTION, Stops, answers, checked_question, checked_sampling
from ui.chat_parts import DEFAULTS, MOST_PANES, PROVING, SEED_MEANS, STARTER, TEMPERATURE_MEANS, Parts
from ui.conversation import MOST_TURNS, Conversation
from ui.guard import guarded
from ui.panel import QUIET, picked
from ui.session import Session

Updates: TypeAlias = tuple[object, ...]


@dataclass(frozen=True)
class _Setting:
    """Everything that a question is asked with."""

    run: Run
    conversation: Conversation
    thumbs: frozenset[str]
    chairs: tuple[Chair, ...]
    system: str
    remembers: bool
    sampling: GenerationSettings

    @classmethod
    def of(cls, workspace: Workspace, run: str, values: Sequence[object]) -> _Setting:
        conversation, thumbs, count, *rest = values
        keys, (system, remembers, *sampling) = rest[:MOST_PANES], rest[MOST_PANES:]
        if not isinstance(conversation, Conversation):
            raise UsageError("this conversation is not known", next_step="Load the page again.")
        return cls(
            workspace.run(run), conversation, thumbs if isinstance(thumbs, frozenset) else frozenset(), seated(workspace, run, count, keys),
            str(system or "").strip()[:LONGEST_QUESTION], remembers is True, checked_sampling(*sampling),
        )  # fmt: skip


def seated(workspace: Workspace, run: str, count: object, keys: Sequence[object]) -> tuple[Chair, ...]:
    """Return who sits in the panes that are open.

    Raises:
        UsageError: When somebody sits twice, or is not known.
    """
    panes = count if isinstance(count, int) and 1 <= count <= MOST_PANES else 2
    chosen = [str(key) for key in keys[:panes]]
    if len(set(chosen)) < len(chosen):
        raise UsageError("the same one sits in two panes", next_step="Choose another one for one of them.")
    return tuple(workspace.seating.chair(run, key) for key in chosen)


def drawn_for(workspace: Workspace, run: Run) -> Updates:
    """Return an empty chat round a run; see `Parts.drawn`."""
    asking = compare_views.asking_of(run)
    chairs = workspace.seating.chairs(run.id)
    options = [(chair.title, chair.key) for chair in chairs]
    keys = default_keys(chairs)
    example = workspace.data.example_of(run.plan.dataset)
    labels = [
        views.pane_label(chair, phrase_of(chair, asking), None)
        for chair in (workspace.seating.chair(run.id, key) for key in keys)
    ]
    heads = (gr.update(visible=number < 2) for number in range(MOST_PANES))
    empty = Conversation()
    return (
        gr.update(value=2), *heads, *(gr.update(choices=options, value=key) for key in keys), *labels, "",
        views.last_turn(empty, (), (), differs=False, writing=False), compare_views.questions(example, asking), "",
        compare_views.help_under_the_box(asking), gr.update(value="", placeholder=asking.placeholder), example.system if example else "",
        run.plan.model.id != STARTER, *chance_controls(asking), views.in_memory(workspace.seating.in_memory()), empty, None,
        frozenset(), None, "", "", PROVING,
    )  # fmt: skip


def chance_controls(asking: compare_views.Asking) -> tuple[object, object]:
    """Return temperature and seed, which are off where chance plays no part."""
    why = asking.chance_reason
    off = {"temperature": DEFAULTS.temperature, "seed": DEFAULTS.seed} if why else {}
    temperature, seed = (
        gr.update(interactive=not why, info=why or means, **({"value": off[name]} if off else {}))
        for name, means in (("temperature", TEMPERATURE_MEANS), ("seed", SEED_MEANS))
    )
    return temperature, seed


def default_keys(chairs: Sequence[Chair]) -> list[str]:
    """Return who sits in the four panes at first: base, tuned, and then whoever comes next in the list."""
    keys = [chair.key for chair in chairs[:MOST_PANES]]
    return keys + [keys[-1]] * (MOST_PANES - len(keys))


def phrase_of(chair: Chair, asking: compare_views.Asking) -> str:
    """Return what a chair's pane shows, in a phrase."""
    own = {"base": asking.base, "tuned": asking.tuned}.get(chair.key)
    return own or chair.what


def wire(workspace: Workspace, session: Session, parts: Parts, run: gr.Dropdown) -> None:
    """Wire the chat to its own controls."""
    stops = Stops()

    @guarded
    def ask(request: gr.Request, question: str, editing: int | None, run: str, *values: object) -> Iterator[Updates]:
        setting = _Setting.of(workspace, run, values)
        below = setting.conversation.turns[editing].parent if _is_turn(setting.conversation, editing) else None
        yield from streamed(workspace, setting, checked_question(question), below, stops, request)

    @guarded
    def ask_preset(event: gr.EventData, request: gr.Request, run: str, *values: object) -> Iterator[Updates]:
        setting = _Setting.of(workspace, run, values)
        yield from streamed(workspace, setting, checked_question(picked(event)), None, stops, request)

    @guarded
    def ask_again(request: gr.Request, run: str, *values: object) -> Iterator[Updates]:
        setting = _Setting.of(workspace, run, values)
        last = setting.conversation.last
        if last is None:
            raise UsageError("nothing was asked yet", next_step="Ask a question first.")
        if setting.sampling.temperature > 0:
            setting = replace(setting, sampling=replace(setting.sampling, seed=setting.sampling.seed + 1))
        yield from streamed(workspace, setting, last.question, last.parent, stops, request)

    def stop(request: gr.Request) -> object:
        stops.raise_for(request)
        return gr.update(interactive=False)

    def clear(request: gr.Request) -> Updates:
        stops.clear(request)
        empty, off = Conversation(), gr.update(interactive=False)
        nothing = views.last_turn(empty, (), (), differs=False, writing=False)
        return empty, "", nothing, gr.update(interactive=True), off, off, off, "", None, frozenset(), None, "", ""

    updates = [
        parts.conversation, parts.past, parts.current, *parts.labels, parts.question, parts.seed, parts.memory, parts.send, parts.stop,
        parts.again, parts.clear, parts.note, parts.editing,
    ]  # fmt: skip
    settings = [run, *parts.asked_with]
    model_call = {"concurrency_id": "accelerator", "concurrency_limit": 1, **QUIET}
    writing = [
        *(
            asked(ask, [parts.question, parts.editing, *settings], updates, **model_call)
            for asked in (parts.send.click, parts.question.submit)
        ),
        parts.chips.pick(ask_preset, settings, updates, **model_call),
        parts.again.click(ask_again, settings, updates, **model_call),
    ]
    parts.stop.click(stop, None, parts.stop, queue=False, **QUIET)
    cleared = [
        parts.conversation, parts.past, parts.current, parts.send, parts.stop, parts.again, parts.clear, parts.note, parts.editing,
        parts.thumbs, parts.places, parts.tokens, parts.scrub,
    ]  # fmt: skip
    parts.clear.click(clear, None, cleared, cancels=writing, **QUIET)
    _wire_panes(workspace, parts, run)
    chat_turns.wire(workspace, parts, run, seated)


def _is_turn(conversation: Conversation, number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(conversation.turns)


def _wire_panes(workspace: Workspace, parts: Parts, run: gr.Dropdown) -> None:
    """Open and close panes, and let others sit in them; what was said stays."""

    @guarded
    def seat(run: str, conversation: Conversation, thumbs: frozenset[str], count: int, *keys: str) -> Updates:
        heads = tuple(gr.update(visible=number < count) for number in range(MOST_PANES))
        found = workspace.run(run)
        chairs = seated(workspace, run, count, keys)
        return (
            *heads,
            *_labels(chairs, found, conversation),
            *_drawn(conversation, chairs, found, thumbs, writing=False),
        )

    drawn = [*parts.heads, *parts.labels, parts.past, parts.current]
    for changed in (parts.count, *parts.chairs):
        changed.input(seat, [run, parts.conversation, parts.thumbs, parts.count, *parts.chairs], drawn, **QUIET)


def streamed(
    workspace: Workspace, setting: _Setting, question: str, below: int | None, stops: Stops, request: gr.Request
) -> Iterator[Updates]:
    """Yield what the window shows while all panes answer a question.

    Args:
        workspace: The engine.
        setting: Who is asked, and how.
        question: What they are asked.
        below: The turn under which the question is put; None for the last one on view.
        stops: The window's flags.
        request: Which window it is.
    """
    cleared = stops.clears(request)
    if len(setting.conversation.turns) >= MOST_TURNS:
        raise UsageError(
            "this conversation is very long", found=f"{MOST_TURNS} questions", next_step="Press Clear and begin anew."
        )
    conversation = setting.conversation.asked(question, below=below)
    asked = [
        Asked(chair.key, conversation.messages(chair.key, system=setting.system, remembers=setting.remembers))
        for chair in setting.chairs
    ]
    yield _updates(workspace, setting, conversation, writing=True, is_new=True)
    is_wanted = True
    try:
        for latest in answers(workspace.seating, setting.run.id, asked, setting.sampling, stops.fresh(request)):
            if stops.clears(request) != cleared:
                break
            for chunk in latest.values():
                conversation = conversation.answered(chunk)
            yield _updates(workspace, setting, conversation, writing=True)
    except GeneratorExit:  # cleared, or the page is gone: nobody takes another update
        is_wanted = False
        raise
    finally:
        stops.raise_for(request)
        if is_wanted and stops.clears(request) == cleared:
            yield _updates(workspace, setting, conversation, writing=False)


def _updates(
    workspace: Workspace, setting: _Setting, conversation: Conversation, *, writing: bool, is_new: bool = False
) -> Updates:
    past, current = _drawn(conversation, setting.chairs, setting.run, setting.thumbs, writing=writing)
    idle, busy = gr.update(interactive=not writing), gr.update(interactive=writing)
    memory = gr.skip() if writing else views.in_memory(workspace.seating.in_memory())
    return (
        conversation, past if is_new or not writing else gr.skip(), current, *_labels(setting.chairs, setting.run, conversation),
        "" if is_new else gr.skip(), setting.sampling.seed, memory, idle, busy, idle, idle, "" if is_new else gr.skip(),
        None if is_new else gr.skip(),
    )  # fmt: skip


def _labels(chairs: Sequence[Chair], run: Run, conversation: Conversation) -> Updates:
    asking, last = compare_views.asking_of(run), conversation.last
    shown = [
        views.pane_label(chair, phrase_of(chair, asking), last.answers.get(chair.key) if last else None)
        for chair in chairs
    ]
    return (*shown, *("" for _ in range(MOST_PANES - len(shown))))


def _drawn(
    conversation: Conversation, chairs: Sequence[Chair], run: Run, thumbs: frozenset[str], *, writing: bool
) -> tuple[str, str]:
    differs = compare_views.asking_of(run).differs
    return (
        views.talk(conversation, chairs, thumbs, differs=differs),
        views.last_turn(conversation, chairs, thumbs, differs=differs, writing=writing),
    )
