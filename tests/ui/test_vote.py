"""The blind vote's screen: no name before the end, keys that a page may send, and the way from votes to the choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.errors import UsageError
from engine.results.battery import Answer, BatteryFolder
from engine.types import DatasetType
from engine.workspace import BatteryArm, PromptSet, Workspace
from ui import vote, vote_views
from ui.choices import Choices
from ui.vote_views import Voting

EVIL = "<img src=x onerror=alert(1)>"
ONE, OTHER = "The First Arm", "The Second Arm"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("vote") / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def form(workspace: Workspace) -> Voting:
    """Give what the form holds: a battery of twelve prompts, two arms whose answers were written by hand, and a name."""
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    arms = [BatteryArm(model="starter", title=ONE), BatteryArm("prompt", model="starter", title=OTHER)]
    made = workspace.batteries.create(PromptSet(dataset.fingerprint, None, 12), arms)
    folder = BatteryFolder(workspace.directory / "batteries" / made.id)
    for place, arm in enumerate(made.arms):
        folder.keep(arm.key, {number: Answer(f"{EVIL} {place} {number}") for number in range(12)})
    return Voting(voter="Ann", battery=made.id, pair="1-0", most="3")


@pytest.fixture
def begun(workspace: Workspace, form: Voting) -> Voting:
    return vote.acted(workspace, form, "begin", {})


def cast(workspace: Workspace, voting: Voting, *choices: str) -> Voting:
    for choice in choices:
        found = workspace.batteries.votes.ballot(voting.poll, voting.voter)
        assert found
        voting = vote.acted(workspace, voting, f"cast:{voting.poll}:{found.number}:{choice}", {})
    return voting


def test_the_form_offers_batteries_and_pairs_with_the_later_arm_first(workspace: Workspace, form: Voting) -> None:
    drawn = vote.drawn(workspace, form)
    assert f'<option value="1-0" selected>{OTHER} and {ONE}</option>' in drawn and 'value="Ann"' in drawn


def test_what_is_typed_stays_when_the_form_is_drawn_anew(workspace: Workspace) -> None:
    typed = {"voter": "Bo", "battery": "b", "pair": "2-0", "most": "7"}
    assert vote.acted(workspace, Voting(), "shown", typed) == Voting(voter="Bo", battery="b", pair="2-0", most="7")


def test_a_ballot_holds_no_name_and_no_markup_of_an_answer(workspace: Workspace, begun: Voting) -> None:
    drawn = vote.drawn(workspace, begun)
    assert "Pair 1 of 3" in drawn and ONE not in drawn and OTHER not in drawn and EVIL not in drawn


@pytest.mark.parametrize("key", ["1", "2", "t", "b", "u"])
def test_every_vote_has_a_key_that_its_button_shows(workspace: Workspace, begun: Voting, key: str) -> None:
    drawn = vote.drawn(workspace, begun)
    assert f'data-key="{key}"' in drawn and f"<kbd>{key}</kbd>" in drawn


def test_names_are_told_when_the_last_pair_is_voted_on(workspace: Workspace, begun: Voting) -> None:
    assert ONE not in vote.drawn(workspace, cast(workspace, begun, "first", "tie"))
    drawn = vote.drawn(workspace, cast(workspace, begun, "second"))
    assert f"{OTHER} against {ONE}" in drawn and "Pairs that count" in drawn


def test_a_vote_can_be_taken_back(workspace: Workspace, begun: Voting) -> None:
    voting = vote.acted(workspace, cast(workspace, begun, "first"), f"undo:{begun.poll}", {})
    assert "Pair 1 of 3" in vote.drawn(workspace, voting)


def test_a_poll_that_is_ended_tells_the_names_and_how_far_two_voters_agree(workspace: Workspace, begun: Voting) -> None:
    cast(workspace, begun, "first", "first")
    cast(workspace, replace(begun, voter=EVIL), "tie", "tie")
    assert ONE not in vote.drawn(workspace, vote.acted(workspace, begun, f"result:{begun.poll}", {}))
    drawn = vote.drawn(workspace, vote.acted(workspace, begun, f"end:{begun.poll}", {}))
    assert ONE in drawn and "said the same on 0 % of 2 pairs" in drawn and EVIL not in drawn


def test_votes_become_a_dataset_that_can_be_chosen_with_dpo(workspace: Workspace, begun: Voting) -> None:
    voting = vote.acted(workspace, cast(workspace, begun, "first", "second", "both_bad"), f"export:{begun.poll}", {})
    assert voting.written and "Left out: 1 both bad" in vote.drawn(workspace, voting)
    chosen = vote.used(workspace, voting, voting.written.fingerprint, Choices(run="some-run"))
    assert isinstance(chosen, Choices) and (chosen.technique, chosen.dataset_rows, chosen.run) == ("dpo", 2, None)
    assert workspace.data.dataset(str(chosen.dataset)).dataset_type is DatasetType.PREFERENCE


def test_thumbs_become_a_dataset_that_can_be_chosen_with_kto(workspace: Workspace) -> None:
    for number in range(4):
        workspace.batteries.votes.thumb([{"role": "user", "content": f"q{number}"}], f"a{number}", number % 2 == 0)
    voting = vote.acted(workspace, Voting(), "thumbs", {})
    assert voting.written and voting.written.technique == "kto" and "2 good answers" in vote.drawn(workspace, voting)


def test_only_what_was_written_here_can_be_chosen(workspace: Workspace) -> None:
    assert not isinstance(vote.used(workspace, Voting(), "f" * 64, Choices()), Choices)


@pytest.mark.parametrize(
    "change",
    [{"voter": ""}, {"battery": "gone"}, {"pair": "0-0"}, {"pair": "0-9"}, {"pair": "x"}, {"most": "0"}, {"most": "x"},
     {"voter": "a" * 400}],
)  # fmt: skip
def test_a_vote_that_cannot_be_is_refused(workspace: Workspace, form: Voting, change: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        vote.drawn(workspace, vote.acted(workspace, replace(form, **change), "begin", {}))


@pytest.mark.parametrize("rest", ["x:first", "0:nonsense", "", "0"])
def test_a_vote_that_says_nothing_changes_nothing(workspace: Workspace, begun: Voting, rest: str) -> None:
    assert vote.acted(workspace, begun, f"cast:{begun.poll}:{rest}", {}) == begun
    assert workspace.batteries.votes.result(begun.poll).votes == 0


@pytest.mark.parametrize(
    "key", ["vote:gone", "result:gone", "end:gone", "undo:gone", "export:gone", "delete:gone", "cast:gone:0:first"]
)
def test_a_poll_that_is_gone_is_said_in_a_sentence(workspace: Workspace, key: str) -> None:
    with pytest.raises(UsageError):
        vote.acted(workspace, Voting(voter="Ann"), key, {})


def test_a_poll_is_deleted_after_a_question_and_the_list_is_drawn_without_it(workspace: Workspace, begun: Voting) -> None:  # fmt: skip
    listed = vote.drawn(workspace, replace(begun, poll=""))
    assert f'data-pick="delete:{begun.poll}" data-confirm="Delete “' in listed and "with its 0 votes?" in listed
    after = vote.acted(workspace, begun, f"delete:{begun.poll}", {})
    assert (after.poll, after.votes) == ("", False) and begun.poll not in vote.drawn(workspace, after)


def test_deleting_one_poll_leaves_the_other_on_view(workspace: Workspace, form: Voting, begun: Voting) -> None:
    other = vote.acted(workspace, form, "begin", {})
    assert vote.acted(workspace, begun, f"delete:{other.poll}", {}) == begun


def test_the_button_of_the_battery_chooses_its_two_arms(workspace: Workspace, form: Voting) -> None:
    voting = vote.acted(workspace, Voting(poll="old", votes=True), f"new:{form.battery}:1-0", {})
    assert (voting.poll, voting.battery, voting.pair, voting.votes) == ("", form.battery, "1-0", False)


def test_without_a_battery_the_place_says_how_to_get_one() -> None:
    assert 'data-view="battery"' in vote_views.setup([], Voting(), "")


def test_with_votes_and_no_battery_left_a_name_can_still_be_written(workspace: Workspace, begun: Voting) -> None:
    for battery in workspace.batteries.all():
        workspace.batteries.delete(battery.id)
    drawn = vote.drawn(workspace, Voting())
    assert drawn.count('name="voter"') == 1 and f'data-pick="vote:{begun.poll}"' in drawn


def test_another_run_on_view_leaves_the_ballot_and_keeps_the_vote(workspace: Workspace, begun: Voting) -> None:
    state, drawn = vote.drawn_for(workspace, None)  # type: ignore[arg-type]  # votes belong to no run
    assert state == Voting() and f'data-pick="vote:{begun.poll}"' in str(drawn)
