"""The blind vote of the Compare tab: from a battery's answers to votes, from votes to preference data, and on to the Data tab.

Whose the answers are never reaches the page before the end: the engine gives ballots without names.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TypeAlias

import gradio as gr

from engine.errors import TuningError, UsageError
from engine.types import Run
from engine.workspace import Exported, VoteChoice, Workspace
from ui import vote_views as views
from ui.asking import Typed, text_of, typed_of
from ui.choices import Choices
from ui.data_sources import Arrived, with_arrived
from ui.guard import guarded
from ui.panel import QUIET, picked
from ui.session import Session
from ui.vote_parts import Parts
from ui.vote_views import Voting

Updates: TypeAlias = tuple[object, ...]
THUMBS = "thumbs"
MOST_LISTED = 30


def drawn_for(workspace: Workspace, run: Run) -> Updates:
    """Return the desk as it is before anything is chosen; votes belong to no single run."""
    return Voting(), drawn(workspace, Voting())


def drawn(workspace: Workspace, voting: Voting) -> str:
    """Return the desk: a ballot, a result, or the form and the lists."""
    votes = workspace.batteries.votes
    if voting.poll and voting.votes:
        found = votes.ballot(voting.poll, voting.voter)
        if found:
            return views.desk(views.ballot(found, votes.poll(voting.poll)))
    if voting.poll:
        written = voting.written if voting.written_of == voting.poll else None
        poll = votes.poll(voting.poll)
        caution = caution_of(workspace, poll.battery)
        return views.desk(views.result(poll, votes.result(voting.poll), written, caution))
    batteries = [battery for battery in workspace.batteries.all() if len(battery.arms) > 1]
    rows = [views.PollRow(poll, votes.result(poll.id)) for poll in votes.polls()[:MOST_LISTED]]
    chosen = voting.battery or (batteries[0].id if batteries else "")
    given = votes.thumbs()
    good = sum(thumb.good for thumb in given)
    written = voting.written if voting.written_of == THUMBS else None
    return views.desk(
        views.setup(batteries, voting, caution_of(workspace, chosen)),
        views.polls(rows, "" if batteries else views.voter_field(voting.voter)),
        views.thumbs(good, len(given) - good, written),
    )


def caution_of(workspace: Workspace, battery: str) -> str:
    """Return that learning from these votes spends rows that a run is measured on; empty where it does not."""
    try:
        found = workspace.batteries.battery(battery) if battery else None
    except UsageError:  # the battery was deleted since
        return ""
    runs = {run.id: run for run in workspace.runs()}
    for arm in found.arms if found else ():
        run = runs.get(arm.run)
        if run is None:
            continue
        held_out = run.plan.held_out
        own = held_out.dataset.fingerprint if held_out.dataset else ""
        if found and found.dataset in {own, run.plan.dataset.fingerprint} and (own or held_out.indices):
            return (
                f"These prompts come from the data of “{run.name}”. Where they are its held-out rows, a run that learns from these votes has seen "
                "them: they are spent, and a score on them says too much. Measure such a run on other rows."
            )
    return ""


def wire(workspace: Workspace, session: Session, parts: Parts, run: gr.Dropdown) -> None:
    """Wire the desk."""

    @guarded
    def act(event: gr.EventData, voting: Voting, choices: Choices) -> Updates:
        key, typed = picked(event), typed_of(event)
        if key.startswith("use:"):
            return gr.skip(), gr.skip(), used(workspace, voting, key.removeprefix("use:"), choices)
        after = acted(workspace, voting, key, typed)
        return after, drawn(workspace, after), gr.skip()

    parts.desk.pick(
        act, [parts.voting, session.choices], [parts.voting, parts.desk, session.choices], trigger_mode="multiple", **QUIET
    )  # fmt: skip


def acted(workspace: Workspace, voting: Voting, key: str, typed: Typed) -> Voting:
    """Return what is on view after a button was pressed; a foreign key changes nothing.

    Raises:
        TuningError: When what the button means cannot be done.
    """
    verb, _, rest = key.partition(":")
    votes = workspace.batteries.votes
    if "voter" in typed:  # the form is in the page
        names = ("voter", "battery", "pair", "most")
        voting = replace(voting, **{name: text_of(typed, name) for name in names if name in typed})
    match verb:
        case "begin":
            return replace(voting, poll=begun(workspace, voting), votes=True)
        case "new":  # from the battery
            battery, _, pair = rest.partition(":")
            return replace(voting, poll="", votes=False, battery=battery, pair=pair)
        case "vote":
            if not voting.voter:
                raise UsageError("a voter needs a name", next_step="Write your name above, then press Vote.")
            return replace(voting, poll=votes.poll(rest).id, votes=True)
        case "cast":
            return cast(workspace, voting, rest)
        case "undo":
            votes.undo(votes.poll(rest).id, voting.voter)
            return replace(voting, poll=rest, votes=True)
        case "result":
            return replace(voting, poll=votes.poll(rest).id, votes=False)
        case "end":
            votes.end(rest)
            return replace(voting, poll=rest, votes=False)
        case "delete":
            votes.delete(rest)
            return replace(voting, poll="", votes=False) if voting.poll == rest else voting
        case "export":
            return replace(voting, written=written_votes(workspace, rest), written_of=votes.poll(rest).id)
        case "thumbs":
            written = written_rows(workspace, votes.export_thumbs(), "Thumbs from chat", "kto")
            return replace(voting, poll="", written=written, written_of=THUMBS)
        case "leave":
            return replace(voting, poll="", votes=False)
        case _:
            return voting


def begun(workspace: Workspace, voting: Voting) -> str:
    """Make a poll as the form says and return its id.

    Raises:
        UsageError: When a name is missing, or the answers cannot be voted on.
    """
    if not voting.voter:
        raise UsageError("a voter needs a name", next_step="Write your name, so that several people can vote.")
    battery, most = workspace.batteries.battery(voting.battery), voting.most
    places = [int(place[:6]) if place.isdecimal() else -1 for place in voting.pair.split("-")]
    if len(set(places)) != 2 or len(places) != 2 or not all(0 <= place < len(battery.arms) for place in places):
        raise UsageError("these are not two arms", where=battery.title, next_step="Choose two of its arms.")
    if not (most.isdecimal() and 1 <= int(most[:9]) <= views.MOST_PAIRS):
        raise UsageError("so many pairs cannot be voted on", found=most[:20], expected=f"1 to {views.MOST_PAIRS}")
    one, other = (battery.arms[place].key for place in places)
    title = f"{battery.title}, {time.strftime('%H:%M')}"
    return workspace.batteries.poll(battery.id, one, other, title=title, most=int(most)).id


def cast(workspace: Workspace, voting: Voting, key: str) -> Voting:
    """Keep a vote; `key` is the poll's id, the pair's number and what was said."""
    poll, _, rest = key.partition(":")
    number, _, choice = rest.partition(":")
    if not number.isdecimal() or choice not in set(VoteChoice):
        return voting
    workspace.batteries.votes.vote(poll, voting.voter, int(number[:9]), VoteChoice(choice))
    return replace(voting, poll=poll, votes=True)


def written_votes(workspace: Workspace, poll: str) -> views.Written:
    """Write what was preferred as a dataset of this workspace."""
    votes = workspace.batteries.votes
    return written_rows(workspace, votes.export(poll), f"Votes on {votes.poll(poll).title}", "dpo")


def written_rows(workspace: Workspace, found: Exported, name: str, technique: str) -> views.Written:
    """Read a file of preferences into the workspace.

    Raises:
        UsageError: When it cannot be used.
    """
    inspection = workspace.data.inspect(found.path, name=name)
    if inspection.dataset is None:
        raise UsageError("these votes make no dataset", found=inspection.message, next_step="Vote on more pairs.")
    dataset = inspection.dataset
    return views.Written(dataset.fingerprint, name, dataset.rows, technique, views.left_out_of(found))


def used(workspace: Workspace, voting: Voting, fingerprint: str, choices: Choices) -> object:
    """Return the choices with the dataset that was written, and the technique that learns from such rows."""
    written = voting.written
    if written is None or written.fingerprint != fingerprint:
        return gr.skip()
    try:
        dataset = workspace.data.dataset(fingerprint)
    except TuningError:
        return gr.skip()
    arrived = Arrived(fingerprint, written.name, dataset.rows, time.monotonic_ns(), technique=written.technique)
    return with_arrived(choices, arrived)
