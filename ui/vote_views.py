"""What the blind vote draws: what can be voted on, one pair at a time without names, and at the end whose answers they were. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.workspace import Ballot, Battery, Exported, Poll, PollResult
from ui import words
from ui.markup import card, empty, pill, stats, term, text

MOST_PAIRS = 500
LONGEST_NAME = 60
VOTES = (
    ("first", "1", "Answer 1 is better"),
    ("second", "2", "Answer 2 is better"),
    ("tie", "t", "Both alike"),
    ("both_bad", "b", "Both bad"),
)
"""What can be said of a pair: its name in the engine, its key, its words."""

SHARE_MEANS = "Of the pairs on which somebody preferred a side or called them alike; each pair counts once, a tie half. 95 % interval (Wilson)."
KAPPA_MEANS = (
    "Agreement beyond chance: 0 is what chance would give, 1 is always (Cohen 1960; the mean over all pairs of voters)"
)
SHOWN_CHARACTERS = 6_000
"""Of an answer on a ballot."""


@dataclass(frozen=True)
class PollRow:
    """A poll as the list shows it."""

    poll: Poll
    result: PollResult


@dataclass(frozen=True)
class Written:
    """Preference data that was written and read into the workspace.

    Attributes:
        fingerprint: Of the dataset.
        name: What it is called.
        technique: The technique that learns from such rows first.
        left_out: What is not among the rows, in words; empty for nothing.
    """

    fingerprint: str
    name: str
    rows: int
    technique: str
    left_out: str


@dataclass(frozen=True)
class Voting:
    """What is on view.

    Attributes:
        poll: The id of the poll that is voted on or read; empty for the form and the list.
        voter: Who votes in this window.
        votes: Whether a ballot is shown, rather than the result.
        battery: What is chosen in the form.
        pair: The places of the two arms that are chosen there.
        most: How many pairs are voted on at most, as it was typed.
        written: What was exported last.
        written_of: The poll it came from; "thumbs" for thumbs.
    """

    poll: str = ""
    voter: str = ""
    votes: bool = False
    battery: str = ""
    pair: str = ""
    most: str = "50"
    written: Written | None = None
    written_of: str = ""


def desk(*parts: str) -> str:
    """Return the parts one below the other."""
    return f'<div class="vote-desk">{"".join(part for part in parts if part)}</div>'


def setup(batteries: Sequence[Battery], voting: Voting, caution: str) -> str:
    """Return the form in which a vote is begun.

    Args:
        batteries: Those with two arms or more, newest first.
        voting: What is chosen and typed.
        caution: What should be known before these answers are voted on; empty for nothing.
    """
    if not batteries:
        return empty(
            "Vote blind",
            "You see two answers to the same prompt and say which is better, without knowing whose they are. The sides are shuffled for every prompt, and "
            "names are told at the end, with how often each was preferred and how sure that is. Your votes then become preference data that DPO learns "
            "from. The answers come from a battery with two arms or more: make one first.",
            '<p><button type="button" class="button primary" data-view="battery">Make a battery</button></p>',
        )
    battery = next((one for one in batteries if one.id == voting.battery), batteries[0])
    sides = [
        (f"{b}-{a}", f"{battery.arms[b].title} and {battery.arms[a].title}")
        for a, b in combinations(range(len(battery.arms)), 2)
    ]
    form = (
        '<div class="settings vote-form">'
        + _select("battery", "Answers of", [(one.id, f"{one.title} · {words.counted(one.prompts, 'prompt')}") for one in batteries], battery.id)
        + _select("pair", "Between", sides, voting.pair)
        + _input("most", "Pairs at most", f'type="number" min="1" max="{MOST_PAIRS}" value="{text(voting.most)}"', f"1 to {MOST_PAIRS}, default 50")
        + voter_field(voting.voter)
        + "</div>"
    )  # fmt: skip
    return card(
        '<p class="muted">Two answers side by side, shuffled, without names. You say which is better; the names come at the end.</p>'
        f'{form}{_cautioned(caution)}<p class="vote-acts"><button type="button" class="button primary" data-pick="begin" data-enter>Begin a blind vote</button></p>',
        title="Vote blind",
        classes="vote-setup",
    )


def _cautioned(caution: str) -> str:
    return f'<p class="caution">{text(caution)}</p>' if caution else ""


def voter_field(voter: str) -> str:
    """Return the field for the name of who votes."""
    return _input("voter", "Your name", f'type="text" maxlength="{LONGEST_NAME}" autocomplete="off" value="{text(voter)}"', "so that several people can vote")  # fmt: skip


def _select(name: str, label: str, options: Sequence[tuple[str, str]], chosen: str = "") -> str:
    inside = "".join(
        f'<option value="{text(value)}"{" selected" if value == chosen else ""}>{text(title)}</option>'
        for value, title in options
    )
    redraws = ' data-redraws="chosen"' if name == "battery" else ""
    return (
        f'<div class="field"><label for="vote-{name}">{label}</label><div class="control"><select id="vote-{name}" name="{name}"{redraws}>'
        f"{inside}</select></div></div>"
    )


def _input(name: str, label: str, attributes: str, hint: str) -> str:
    return (
        f'<div class="field"><label for="vote-{name}">{label}</label><div class="control"><input id="vote-{name}" name="{name}" {attributes} '
        f'aria-describedby="vote-{name}-help"></div><p class="help" id="vote-{name}-help">{text(hint)}</p></div>'
    )


def polls(rows: Sequence[PollRow], voter: str = "", *, now: float | None = None) -> str:
    """Return the votes of the workspace, the newest first; `voter` is the field for a name, where it stands nowhere else."""
    if not rows:
        return ""
    moment = time.time() if now is None else now
    return card(
        f'{voter}<ul class="kept-list">{"".join(_poll_row(row, moment) for row in rows)}</ul>',
        title="Votes",
        classes="vote-polls",
    )


def _poll_row(row: PollRow, now: float) -> str:
    poll, result = row.poll, row.result
    is_over = result.names is not None
    voters = ", ".join(f"{voter.voter} {voter.votes} of {voter.total}" for voter in result.voters) or "nobody voted yet"
    state = pill("ended", "good") if is_over else pill("names hidden", "note")
    vote = (
        "" if is_over else f'<button type="button" class="button small" data-pick="vote:{text(poll.id)}">Vote</button>'
    )
    question = f"Delete “{poll.title}” with its {words.counted(result.votes, 'vote')}? Datasets that were exported from it stay."
    return (
        f'<li class="kept"><strong>{text(poll.title)}</strong><span class="muted">{words.counted(poll.pairs, "pair")} · {text(voters)} · '
        f"{words.when_text(poll.created, now)}</span>"
        f'<span class="kept-acts">{state}{vote}<button type="button" class="button small" data-pick="result:{text(poll.id)}" '
        f'aria-label="Result of {text(poll.title)}">Result</button><button type="button" class="button small" data-pick="delete:{text(poll.id)}" '
        f'data-confirm="{text(question)}" aria-label="Delete {text(poll.title)}">Delete</button></span></li>'
    )


def thumbs(good: int, bad: int, written: Written | None) -> str:
    """Return how many thumbs were given in chat, and how they become a dataset."""
    if good + bad == 0:
        return card(
            '<p class="muted">None yet. Under every answer in Chat stand “Good” and “Bad”; they are kept, and here they become a dataset that KTO learns '
            "from.</p>",
            title="Thumbs from chat",
        )
    button = '<p class="vote-acts"><button type="button" class="button small" data-pick="thumbs">Export as a dataset</button></p>'
    body = f"<p>{words.counted(good, 'good answer')}, {words.counted(bad, 'bad one')}.</p>{button}"
    return card(body + (exported(written) if written else ""), title="Thumbs from chat")


# --- one pair ---------------------------------------------------------------------------------------------------------


def ballot(found: Ballot, poll: Poll) -> str:
    """Return a pair of answers, without names, and the buttons that say which is better."""
    *before, question = found.messages
    turns = "".join(
        f'<p class="turn-before muted">{text(turn["role"])}: {text(str(turn["content"])[:SHOWN_CHARACTERS])}</p>'
        for turn in before
    )
    sides = "".join(
        f'<section class="ballot-side" aria-label="Answer {number}" tabindex="0"><h3>Answer {number}</h3><p>{_said(answer)}</p></section>'
        for number, answer in ((1, found.first), (2, found.second))
    )
    buttons = "".join(
        f'<button type="button" class="button{" primary" if key in "12" else ""}" data-pick="cast:{text(poll.id)}:{found.number}:{choice}" '
        f'data-key="{key}" aria-keyshortcuts="{key}">{words_}<kbd>{key}</kbd></button>'
        for choice, key, words_ in VOTES
    )
    off = "" if found.done else " disabled"
    undo = f'<button type="button" class="button" data-pick="undo:{text(poll.id)}" data-key="u" aria-keyshortcuts="u"{off}>Take the last one back<kbd>u</kbd></button>'
    share = 100 * found.done / found.total
    return (
        f'<section class="card ballot-card" tabindex="-1" data-ballot="{found.number}" aria-label="Pair {found.done + 1} of {found.total}">'
        f'<header class="card-head"><h2>Which answer is better?</h2><span class="muted" role="status">Pair {found.done + 1} of {found.total} · {text(found.voter)}</span></header>'
        f'<div class="ballot-progress" aria-hidden="true"><i style="width:{share:.1f}%"></i></div>'
        f'{turns}<p class="question">{text(str(question["content"])[:SHOWN_CHARACTERS])}</p><div class="ballot-sides">{sides}</div>'
        f'<div class="ballot-votes">{buttons}<span class="spring"></span>{undo}<button type="button" class="button link" data-pick="leave">Go on later</button></div></section>'
    )


def _said(answer: str) -> str:
    if not answer.strip():
        return '<span class="muted">(nothing)</span>'
    cut = "…" if len(answer) > SHOWN_CHARACTERS else ""
    return text(answer[:SHOWN_CHARACTERS]) + cut


# --- the result -------------------------------------------------------------------------------------------------------


def result(poll: Poll, found: PollResult, written: Written | None, caution: str) -> str:
    """Return what came of a vote: while it goes on only how far it is, at the end names, share, agreement, and the export."""
    back = '<button type="button" class="button link" data-pick="leave">All votes</button>'
    if found.names is None:
        return card(_going_on(poll, found), title=poll.title, aside=back, classes="vote-result")
    one, other = found.names
    share = "no preference" if found.share is None else f"{round(100 * found.share)} %"
    interval = (
        "" if found.interval is None else f"{round(100 * found.interval[0])} to {round(100 * found.interval[1])} %"
    )
    figures = stats(
        [
            (f"{one} preferred", share, SHARE_MEANS), ("95 % interval", interval or words.UNKNOWN, SHARE_MEANS),
            ("Pairs that count", f"{found.pairs:,}", "Pairs with a vote that says more than that both are bad"),
            ("Votes", f"{found.votes:,}", ""),
        ],
        label="Result of the vote",
    )  # fmt: skip
    counts = (
        f"<p>{text(one)} was better {_times(found.wins)}, {text(other)} {_times(found.losses)}; "
        f"both were alike {_times(found.ties)} and bad {_times(found.both_bad)}. "
        f"{_verdict(found, one, other)}</p>"
    )
    same = (
        f'<p class="muted">{words.counted(poll.same, "pair")} had the same answer twice and stood on no ballot.</p>'
        if poll.same
        else ""
    )
    export = (
        f'<p class="vote-acts"><button type="button" class="button{"" if written else " primary"}" data-pick="export:{text(poll.id)}">Export as preference data</button>'
        '<span class="muted">One row for each prompt with a preferred answer: what DPO learns from.</span></p>'
    )
    body = (
        figures + counts + same + _voters(found) + export + _cautioned(caution) + (exported(written) if written else "")
    )
    return card(body, title=f"{one} against {other}", aside=back, classes="vote-result")


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _verdict(found: PollResult, one: str, other: str) -> str:
    if found.interval is None:
        return "Nobody preferred a side."
    low, high = found.interval
    if low > 0.5 or high < 0.5:
        return f"{text(one if low > 0.5 else other)} is preferred: the interval leaves out one half."
    return "That is not enough to say who is preferred: the interval holds one half. More votes make it narrower."


def _going_on(poll: Poll, found: PollResult) -> str:
    voters = "".join(f"<li>{text(voter.voter)}: {voter.votes} of {voter.total}</li>" for voter in found.voters)
    end = (
        f'<button type="button" class="button" data-pick="end:{text(poll.id)}" data-confirm="End this vote? Nobody can vote on it any more, and the names are '
        'shown.">End the vote and show the names</button>'
        if found.votes
        else ""
    )
    return (
        f"<p>{words.counted(found.votes, 'vote')} on {words.counted(poll.pairs, 'pair')}. Whose the answers are is told when everybody who began has "
        f"voted on every pair, or when you end the vote.</p><ul>{voters}</ul>"
        f'<p class="vote-acts"><button type="button" class="button primary" data-pick="vote:{text(poll.id)}">Vote</button>{end}</p>'
    )


def _voters(found: PollResult) -> str:
    if len(found.voters) < 2:
        return ""
    one = found.names[0] if found.names else ""
    rows = "".join(
        f'<tr><th scope="row">{text(voter.voter)}</th><td>{voter.votes} of {voter.total}</td>'
        f"<td>{words.UNKNOWN if voter.share is None else f'{round(100 * voter.share)} %'}</td></tr>"
        for voter in found.voters
    )
    pairs = "".join(
        f"<li>{text(each.voters[0])} and {text(each.voters[1])} said the same on {round(100 * each.share)} % of {words.counted(each.pairs, 'pair')}"
        f"{'' if each.kappa is None else f', kappa {each.kappa:.2f}'}.</li>"
        for each in found.agreements
    )
    kappa = "" if found.kappa is None else f" <strong>{found.kappa:.2f}</strong>"
    return (
        f'<table class="arms"><thead><tr><th scope="col">Voter</th><th scope="col">Votes</th><th scope="col">{text(one)} preferred</th></tr></thead>'
        f"<tbody>{rows}</tbody></table><p>{term('Agreement', KAPPA_MEANS)}{kappa}</p><ul>{pairs}</ul>"
    )


def exported(written: Written) -> str:
    """Return that a dataset was written, and the button that opens it."""
    left_out = f" Left out: {text(written.left_out)}." if written.left_out else ""
    return (
        f'<div class="vote-exported" role="status"><p>{text(written.name)}: {words.counted(written.rows, "row")}.{left_out}</p>'
        f'<p class="vote-acts"><button type="button" class="button primary" data-pick="use:{text(written.fingerprint)}" data-open="data">'
        "Open on the Data tab</button></p></div>"
    )


def left_out_of(found: Exported) -> str:
    """Return what an export left out, in words; empty for nothing."""
    counts = (
        (found.ties, "called alike"), (found.both_bad, "both bad"), (found.split, "voters disagreed"),
        (found.empty, "an empty answer"), (found.same, "the same answer twice"),
    )  # fmt: skip
    return ", ".join(f"{count:,} {why}" for count, why in counts if count)
