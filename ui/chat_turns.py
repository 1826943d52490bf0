"""What can be done with a turn of the chat: edited, leafed through, judged, looked at token by token, asked at every checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import gradio as gr

from engine.errors import UsageError
from engine.workspace import Asked, Chair, Workspace
from ui import chat_views as views
from ui.chat_parts import Parts
from ui.compare_views import asking_of
from ui.conversation import Conversation
from ui.guard import guarded
from ui.panel import QUIET, picked
from ui.scrub_view import scrub_view
from ui.token_view import token_view

Updates: TypeAlias = tuple[object, ...]
Seated: TypeAlias = Callable[[Workspace, str, object, Sequence[object]], tuple[Chair, ...]]

MODEL_CALL = {"concurrency_id": "accelerator", "concurrency_limit": 1, **QUIET}
AT_ONCE = 4
SCRUB_STEPS = 40
"""Checkpoints that are asked at most; of more, evenly chosen ones."""


def wire(workspace: Workspace, parts: Parts, run: gr.Dropdown, seated: Seated) -> None:
    """Wire the buttons that stand in the talk, and those that go on from its last question."""
    _wire_acts(workspace, parts, run, seated)
    _wire_tokens(workspace, parts, run, seated)
    _wire_proofs(workspace, parts, run)


def _wire_acts(workspace: Workspace, parts: Parts, run: gr.Dropdown, seated: Seated) -> None:
    """Edit a question, leaf through its branches, judge an answer."""

    @guarded
    def act(
        event: gr.EventData, run: str, conversation: Conversation, thumbs: frozenset[str], system: str, remembers: bool, count: int, *keys: str
    ) -> Updates:  # fmt: skip
        verb, _, rest = picked(event).partition(":")
        number, _, what = rest.partition(":")
        same = (gr.skip(),) * 7
        if not number.isdecimal() or not 0 <= int(number) < len(conversation.turns):
            return same
        turn = int(number)
        if verb == "edit":
            return *same[:3], conversation.turns[turn].question, views.editing_note(), turn, gr.skip()
        chairs = seated(workspace, run, count, keys)
        if verb == "branch" and what in {"1", "-1"}:
            chosen = conversation.beside(turn, int(what))
            return chosen, *_drawn(workspace, run, chosen, chairs, thumbs), gr.skip(), "", None, gr.skip()
        if verb in {"good", "bad"} and what in conversation.turns[turn].answers:
            at = replace(conversation, at=turn)
            said = at.messages(what, system=str(system or "").strip(), remembers=remembers is True)
            _keep_thumb(workspace, run, what, said, conversation.turns[turn].text(what), good=verb == "good")
            other = {"good": "bad", "bad": "good"}[verb]
            given = (thumbs - {f"{other}:{rest}"}) | {f"{verb}:{rest}"}
            return gr.skip(), *_drawn(workspace, run, conversation, chairs, given), *same[:3], given
        return same

    @guarded
    def leave(event: gr.EventData) -> Updates:
        return "", "", None

    told = [run, parts.conversation, parts.thumbs, parts.system, parts.remembers, parts.count, *parts.chairs]
    drawn = [
        parts.conversation, parts.past, parts.current, parts.question, parts.note, parts.editing, parts.thumbs,
    ]  # fmt: skip
    for place in (parts.past, parts.current):
        place.pick(act, told, drawn, **QUIET)
    parts.note.pick(leave, None, [parts.question, parts.note, parts.editing], **QUIET)


def _wire_tokens(workspace: Workspace, parts: Parts, run: gr.Dropdown, seated: Seated) -> None:
    """Show an answer as every model expected it, and one of its tokens closer."""

    @guarded
    def look(
        event: gr.EventData, run: str, conversation: Conversation, system: str, remembers: bool, count: int, *keys: str
    ) -> Updates:
        verb, _, rest = picked(event).partition(":")
        number, _, what = rest.partition(":")
        if verb != "tokens" or not number.isdecimal() or int(number) >= len(conversation.turns):
            return gr.skip(), gr.skip()
        at = replace(conversation, at=int(number))
        answer = at.turns[at.at].text(what)
        chairs = [chair for chair in seated(workspace, run, count, keys) if chair.gives == "words"]
        columns = []
        for chair in chairs:
            messages = at.messages(chair.key, system=str(system or "").strip(), remembers=remembers is True)
            columns.append((chair.title, workspace.seating.places(run, Asked(chair.key, messages), answer)))
        title = workspace.seating.chair(run, what).title
        return (title, columns), token_view(title, columns, 0)

    @guarded
    def look_at(event: gr.EventData, tokens: tuple[str, list[object]] | None) -> Updates:
        verb, _, number = picked(event).partition(":")
        if verb == "at" and number.isdecimal() and tokens:
            return gr.skip(), token_view(tokens[0], tokens[1], int(number))
        return None, ""

    told = [run, parts.conversation, parts.system, parts.remembers, parts.count, *parts.chairs]
    shown = [parts.places, parts.tokens]
    for place in (parts.past, parts.current):
        place.pick(look, told, shown, **MODEL_CALL)
    parts.tokens.pick(look_at, parts.places, shown, **QUIET)


def _wire_proofs(workspace: Workspace, parts: Parts, run: gr.Dropdown) -> None:
    """Ask every checkpoint, and let the base pane prove itself."""

    @guarded
    def scrub(run: str, conversation: Conversation, system: str, remembers: bool) -> Iterator[object]:
        yield from scrubbed(workspace, run, conversation, str(system or "").strip(), remembers is True)

    @guarded
    def test(run: str) -> str:
        return views.tested(workspace.seating.self_test(run, _questions_of(workspace, run)))

    parts.every_step.click(scrub, [run, parts.conversation, parts.system, parts.remembers], parts.scrub, **MODEL_CALL)
    parts.scrub.pick(lambda: "", None, parts.scrub, **QUIET)
    parts.prove.click(test, run, parts.proved, **MODEL_CALL)


def _drawn(
    workspace: Workspace, run: str, conversation: Conversation, chairs: Sequence[Chair], thumbs: frozenset[str]
) -> tuple[str, str]:
    differs = asking_of(workspace.run(run)).differs
    return (
        views.talk(conversation, chairs, thumbs, differs=differs),
        views.last_turn(conversation, chairs, thumbs, differs=differs, writing=False),
    )


def _keep_thumb(
    workspace: Workspace, run: str, chair: str, messages: Sequence[dict[str, str]], answer: str, *, good: bool
) -> None:
    found = workspace.seating.chair(run, chair)
    workspace.batteries.votes.thumb(messages, answer, good, run=run, speaker=found.title)
    gr.Info("Kept. Export all thumbs as a dataset under Blind vote.", duration=4, title="Thanks")


def scrubbed(workspace: Workspace, run: str, conversation: Conversation, system: str, remembers: bool) -> Iterator[str]:
    """Yield the answers to the last question at the run's checkpoints, as they are written."""
    last = conversation.last
    if last is None:
        raise UsageError(
            "nothing was asked yet", next_step="Ask a question first; it is asked again at every checkpoint."
        )
    steps = [checkpoint.step for checkpoint in workspace.checkpoints(run)]
    if len(steps) > SCRUB_STEPS:
        steps = sorted({steps[round(number * (len(steps) - 1) / (SCRUB_STEPS - 1))] for number in range(SCRUB_STEPS)})
    chairs = {0: "base"} | {step: f"step:{step}" for step in steps}
    answers: dict[int, str] = {}
    from_chair = {chair: step for step, chair in chairs.items()}
    waiting = list(chairs.items())
    yield scrub_view(last.question, answers, list(chairs))
    for start in range(0, len(waiting), AT_ONCE):
        # What the tuned model answered before is the talk that every checkpoint is given.
        asked = [
            Asked(chair, conversation.messages("tuned", system=system, remembers=remembers))
            for _, chair in waiting[start : start + AT_ONCE]
        ]
        for chunk in workspace.seating.answers(run, asked, views.GREEDY):
            answers[from_chair[chunk.arm]] = chunk.text
        yield scrub_view(last.question, answers, list(chairs))


def _questions_of(workspace: Workspace, run: str) -> list[str]:
    """Return what the base pane is tested with: the example's questions, or the first held-out ones."""
    example = workspace.data.example_of(workspace.run(run).plan.dataset)
    if example:
        return [*example.preset_questions, *filter(None, [example.kept_question])]
    return ["Hello!", "What can you do?", "Tell me something short."]
