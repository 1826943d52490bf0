"""Polls and thumbs on disk, and as datasets that can be trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.results.ballots import VoteChoice
from engine.results.battery import BatteryArm, PromptSet
from engine.results.votes import Poll, Votes
from engine.types import DatasetType
from engine.workspace import GenerationSettings, PlanChoices, Workspace

COUNT = 12
NAMES = ("base", "tuned")


def turns(question: str, system: str = "") -> list[dict[str, str]]:
    opening = [{"role": "system", "content": system}] if system else []
    return [*opening, {"role": "user", "content": question}]


@pytest.fixture
def votes(tmp_path: Path) -> Votes:
    return Votes(tmp_path / "votes", tmp_path / "exports")


@pytest.fixture
def make(votes: Votes) -> Callable[..., Poll]:
    def made(system: str = "", count: int = COUNT) -> Poll:
        pairs = [(turns(f"Question {n}?", system), f"plain {n}", f"kind {n}") for n in range(count)]
        return votes.create("Shop", NAMES, pairs, seed=5)

    return made


def prefer(votes: Votes, poll: Poll, voter: str, word: str) -> None:
    """Vote on everything that is left, for the answer that begins with a word."""
    while ballot := votes.ballot(poll.id, voter):
        first = ballot.first.startswith(word)
        votes.vote(poll.id, voter, ballot.number, VoteChoice.FIRST if first else VoteChoice.SECOND)


def test_sides_are_shuffled_and_nothing_tells_whose_they_are(votes: Votes, make: Callable[..., Poll]) -> None:
    poll, seen = make(), []
    while ballot := votes.ballot(poll.id, "Ann"):
        seen.append(ballot.first.split()[0])
        assert {ballot.first.split()[0], ballot.second.split()[0]} == {"plain", "kind"}
        assert not set(NAMES) & set(str(ballot).replace("'", " ").split()) and votes.result(poll.id).names is None
        votes.vote(poll.id, "Ann", ballot.number, VoteChoice.TIE)
    assert set(seen) == {"plain", "kind"} and len(seen) == COUNT


def test_a_reload_shows_the_same_sides(votes: Votes, make: Callable[..., Poll], tmp_path: Path) -> None:
    poll = make()
    assert votes.ballot(poll.id, "Ann") == Votes(tmp_path / "votes", tmp_path).ballot(poll.id, "Ann")


def test_names_are_told_when_everybody_is_done(votes: Votes, make: Callable[..., Poll]) -> None:
    poll = make()
    prefer(votes, poll, "Ann", "kind")
    assert votes.result(poll.id).names == NAMES
    votes.vote(poll.id, "Bob", 0, VoteChoice.TIE)
    assert votes.result(poll.id).names is None
    votes.end(poll.id)
    assert votes.result(poll.id).names == NAMES


def test_who_prefers_one_side_makes_it_win_whichever_stood_first(votes: Votes, make: Callable[..., Poll]) -> None:
    poll = make()
    prefer(votes, poll, "Ann", "kind")
    result = votes.result(poll.id)
    assert (result.wins, result.losses, result.share) == (0, COUNT, 0.0)
    assert result.interval and result.interval[1] < 0.3


def test_the_last_vote_can_be_taken_back_again_and_again(votes: Votes, make: Callable[..., Poll]) -> None:
    poll = make()
    for number in range(3):
        votes.vote(poll.id, "Ann", number, VoteChoice.TIE)
    votes.vote(poll.id, "Bob", 0, VoteChoice.TIE)
    assert [votes.undo(poll.id, "Ann") for _ in range(4)] == [True, True, True, False]
    ballot = votes.ballot(poll.id, "Ann")
    assert ballot and (ballot.number, ballot.done) == (0, 0) and votes.result(poll.id).votes == 1


def test_the_same_pair_voted_on_twice_counts_once(votes: Votes, make: Callable[..., Poll]) -> None:
    poll = make()
    for choice in (VoteChoice.TIE, VoteChoice.BOTH_BAD):
        votes.vote(poll.id, " Ann ", 0, choice)
    result = votes.result(poll.id)
    assert (result.votes, result.ties, result.both_bad) == (1, 0, 1)


def test_a_poll_that_has_ended_takes_no_votes(votes: Votes, make: Callable[..., Poll]) -> None:
    poll = make()
    votes.end(poll.id)
    with pytest.raises(UsageError, match="has ended"):
        votes.vote(poll.id, "Ann", 0, VoteChoice.TIE)
    with pytest.raises(UsageError, match="has ended"):
        votes.undo(poll.id, "Ann")


def test_half_a_vote_of_a_killed_window_is_none(votes: Votes, make: Callable[..., Poll], tmp_path: Path) -> None:
    poll = make()
    for number in range(2):
        votes.vote(poll.id, "Ann", number, VoteChoice.TIE)
    path = tmp_path / "votes" / "polls" / poll.id / "votes.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    votes.vote(poll.id, "Ann", 2, VoteChoice.TIE)
    assert votes.result(poll.id).votes == 2


@pytest.mark.parametrize("voter", ["", "   ", "x" * 61])
def test_a_voter_needs_a_name(votes: Votes, make: Callable[..., Poll], voter: str) -> None:
    with pytest.raises(UsageError, match="needs a name"):
        votes.ballot(make().id, voter)


@pytest.mark.parametrize("poll", ["", "..", "poll-1", "../../x"])
def test_an_unknown_poll_is_said(votes: Votes, make: Callable[..., Poll], poll: str) -> None:
    make()
    with pytest.raises(UsageError, match="no such poll"):
        votes.result(poll)


def test_pairs_with_the_same_answer_are_not_voted_on(votes: Votes) -> None:
    poll = votes.create("Shop", NAMES, [(turns("a?"), "x", "x "), (turns("b?"), "x", "y")])
    assert (poll.pairs, poll.same) == (1, 1)
    with pytest.raises(UsageError, match="nothing to vote on"):
        votes.create("Shop", NAMES, [(turns("a?"), "x", "x")])


def test_polls_are_listed_newest_first(votes: Votes, make: Callable[..., Poll]) -> None:
    first, second = make(), make()
    assert votes.polls() == [second, first] and votes.poll(first.id) == first


def test_a_poll_that_is_deleted_leaves_nothing_and_the_others_stay(votes: Votes, make: Callable[..., Poll], tmp_path: Path) -> None:  # fmt: skip
    first, second = make(), make()
    prefer(votes, first, "Ann", "kind")
    exported = votes.export(first.id)
    votes.delete(first.id)
    assert votes.polls() == [second] and [path.name for path in (tmp_path / "votes" / "polls").iterdir()] == [second.id]
    assert exported.path.is_file()
    with pytest.raises(UsageError, match="no such poll"):
        votes.delete(first.id)


@pytest.mark.parametrize("system", ["", "Be kind."])
def test_votes_become_pairs_that_dpo_can_be_planned_on(workspace: Workspace, system: str) -> None:
    room = workspace.batteries.votes
    pairs = [(turns(f"Question {n}?", system), f"plain {n}", f"kind {n}") for n in range(COUNT)]
    poll = room.create("Shop", NAMES, pairs)
    prefer(room, poll, "Ann", "kind")
    exported = room.export(poll.id)
    assert exported.path.parent == workspace.directory / "exports" and exported.rows == COUNT
    found = workspace.data.inspect(exported.path)
    assert found.dataset and found.dataset.dataset_type is DatasetType.PREFERENCE and found.rows == COUNT
    plan = workspace.plan(PlanChoices("dpo", found.dataset.fingerprint, "starter"))
    assert plan.technique == "dpo"
    row = workspace.data.rows(found.dataset.fingerprint).rows[0]
    assert system in row[1] and "kind" in row[2] and "plain" in row[3]


def test_what_prefers_nothing_is_left_out_and_counted(votes: Votes, make: Callable[..., Poll]) -> None:
    poll = make()
    prefer(votes, poll, "Ann", "kind")
    votes.vote(poll.id, "Ann", 0, VoteChoice.TIE)
    votes.vote(poll.id, "Ann", 1, VoteChoice.BOTH_BAD)
    votes.vote(poll.id, "Bob", 2, VoteChoice.TIE)
    exported = votes.export(poll.id)
    assert (exported.rows, exported.ties, exported.both_bad, exported.split) == (COUNT - 3, 1, 1, 1)


def test_the_majority_of_several_voters_is_written(votes: Votes, make: Callable[..., Poll]) -> None:
    poll = make(count=1)
    for voter, word in (("Ann", "kind"), ("Bob", "plain"), ("Cem", "kind")):
        prefer(votes, poll, voter, word)
    exported = votes.export(poll.id)
    assert exported.path.read_text() == '{"prompt": "Question 0?", "chosen": "kind 0", "rejected": "plain 0"}\n'


def test_an_empty_answer_is_no_lesson(votes: Votes) -> None:
    poll = votes.create("Shop", NAMES, [(turns("a?"), "", "yes"), (turns("b?"), "no", "yes")])
    prefer(votes, poll, "Ann", "yes")
    exported = votes.export(poll.id)
    assert (exported.rows, exported.empty) == (1, 1)


def test_without_a_preference_nothing_is_written(votes: Votes, make: Callable[..., Poll], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no vote prefers"):
        votes.export(make().id)
    assert not (tmp_path / "exports").exists()


def test_thumbs_become_good_and_bad_answers_that_kto_can_be_planned_on(workspace: Workspace) -> None:
    room = workspace.batteries.votes
    for n in range(COUNT):
        room.thumb(turns(f"Question {n}?"), f"answer {n}", n % 2 == 0, run="r", speaker="Tuned")
    exported = room.export_thumbs("r")
    found = workspace.data.inspect(exported.path)
    assert found.dataset and found.dataset.dataset_type is DatasetType.UNPAIRED_PREFERENCE and found.rows == COUNT
    assert workspace.plan(PlanChoices("kto", found.dataset.fingerprint, "starter")).technique == "kto"


def test_thumbs_of_a_longer_conversation_keep_it(votes: Votes) -> None:
    messages = [*turns("a?", "Be kind."), {"role": "assistant", "content": "b"}, {"role": "user", "content": "c?"}]
    votes.thumb(messages, "d", True)
    text = votes.export_thumbs().path.read_text()
    assert "Be kind." in text and '"completion": [{"role": "assistant", "content": "d"}]' in text


def test_a_second_thought_replaces_the_first_and_the_last_can_be_taken_back(votes: Votes) -> None:
    votes.thumb(turns("a?"), "x", True)
    votes.thumb(turns("a?"), "x", False)
    votes.thumb(turns("b?"), "y", True)
    assert [(thumb.answer, thumb.good) for thumb in votes.thumbs()] == [("x", False), ("y", True)]
    assert votes.undo_thumb() and [thumb.answer for thumb in votes.thumbs()] == ["x"]


def test_without_thumbs_there_is_nothing_to_write(votes: Votes) -> None:
    assert not votes.undo_thumb() and votes.thumbs() == ()
    with pytest.raises(UsageError, match="no thumbs"):
        votes.export_thumbs()


def test_two_arms_that_say_the_same_cannot_be_voted_on(workspace: Workspace) -> None:
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    arms = [BatteryArm(model="starter"), BatteryArm("prompt", model="starter", title="short")]
    few = GenerationSettings(max_new_tokens=2)
    battery = workspace.batteries.create(PromptSet(dataset.fingerprint, most=3), arms, settings=few)
    list(workspace.batteries.answer(battery.id))
    one, other = battery.arms
    with pytest.raises(UsageError, match="nothing to vote on"):  # the prompt is empty, so both say the same
        workspace.batteries.poll(battery.id, one.key, other.key)
