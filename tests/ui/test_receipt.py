"""The view of receipts: what it says is escaped, what it cannot do it says, and what it makes is kept."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from threading import Event

import pytest

from engine.errors import ModelError, UsageError
from engine.types import Run
from engine.workspace import Receipt, ReceiptProgress, Workspace
from tests.ui.test_receipt_page import HOSTILE
from tests.ui.test_receipt_page import receipt as receipt_fixture
from ui import receipt as view
from ui import receipt_views as views
from ui.receipt_parts import AGAIN, MAKE

receipt = receipt_fixture
FEW = 4


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("short")


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    return workspace.runs()[0]


def said(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", html))


def saved(html: str, ending: str) -> str:
    found = re.search(rf'download="([^"]+\.{ending})" href="data:[^,]+,([^"]+)"', html)
    assert found and re.fullmatch(r"[a-z0-9.-]+", found[1])
    return base64.b64decode(found[2]).decode()


def test_no_name_and_no_row_becomes_markup(receipt: Receipt) -> None:
    shown = views.summary(receipt, with_rows=True, is_stale=True) + views.framed(receipt, with_rows=True)
    shown += views.progressing(HOSTILE, ReceiptProgress(HOSTILE, 0.5), None)
    shown += views.cannot_be_made(HOSTILE) + views.said(HOSTILE) + views.waiting(HOSTILE)
    assert "<script" not in shown and "<img" not in shown and shown.count("<iframe") == 1


def test_nothing_runs_in_the_frame_and_it_has_a_name(receipt: Receipt) -> None:
    frame = views.framed(replace(receipt, origin=replace(receipt.origin, name="Shop")), with_rows=True)
    assert 'sandbox=""' in frame and 'title="The receipt of Shop, the whole page"' in frame
    assert unescape(frame.split('srcdoc="')[1]).startswith("<!doctype html>")


def test_the_sentence_and_the_figures_stand_as_text_above_the_page(receipt: Receipt) -> None:
    shown = said(views.summary(receipt, with_rows=True, is_stale=False))
    for told in (
        receipt.sentence,
        "Before",
        "0%",
        "After",
        "90%",
        "p < 0.001",
        "Forgetting",
        "Said by heart",
        "step 150",
    ):
        assert told in shown


def test_private_rows_stand_neither_on_the_page_nor_in_its_files(receipt: Receipt) -> None:
    secret = replace(receipt.examples[0], question="the secret question")
    receipt = replace(receipt, examples=(secret,))
    for with_rows in (True, False):
        shown = views.summary(receipt, with_rows=with_rows, is_stale=False)
        texts = (saved(shown, "html"), saved(shown, "json"), views.framed(receipt, with_rows=with_rows))
        assert ["the secret question" in each for each in texts] == [with_rows] * 3


def test_the_saved_json_is_a_receipt_again(receipt: Receipt) -> None:
    clean = replace(receipt, examples=())
    assert Receipt.from_json(json.loads(saved(views.summary(clean, with_rows=True, is_stale=False), "json"))) == clean


def test_an_old_receipt_says_so_and_what_to_press(receipt: Receipt) -> None:
    assert AGAIN in said(views.summary(receipt, with_rows=True, is_stale=True))
    assert AGAIN not in said(views.summary(receipt, with_rows=True, is_stale=False))


def test_two_receipts_stand_side_by_side_and_other_rows_are_told(receipt: Receipt) -> None:
    shown = views.beside(receipt, receipt)
    assert "<script" not in shown and shown.count("90%") == 2 and "other rows" not in shown
    assert "other rows" in views.beside(receipt, replace(receipt, metric="preferred"))


def test_the_time_left_is_said_once_it_can_be_guessed() -> None:
    assert view.seconds_left((100.0, 0.6), 110.0, 0.62) is None
    assert view.seconds_left((100.0, 0.6), 110.0, 0.8) == pytest.approx(10.0)
    assert "50 % · about 25 s left" in said(views.progressing("Shop", ReceiptProgress("Base: 3 of 6 rows", 0.5), 24.0))


@pytest.mark.parametrize("rows", [None, "60", 0, -1, 201, True, float("nan")])
def test_rows_out_of_range_are_refused_in_a_sentence(rows: object) -> None:
    with pytest.raises(UsageError, match="1 to 200"):
        view.checked_rows(rows)


def test_ways_that_a_page_sends_are_cut_to_size() -> None:
    assert view.checked_ways(["few_shot", "base", "few_shot", "tuned"]) == ("few_shot",)
    assert view.checked_ways("few_shot") == () and len(view.checked_ways([str(n) for n in range(99)])) == 10


def test_before_there_is_a_receipt_the_view_teaches_what_one_is(workspace: Workspace, run: Run) -> None:
    rows, ways, judge, foreseen, make, summary, page, other, _ = view.drawn_for(workspace, run)
    assert judge["value"] == "" and judge["interactive"] and ("No judge", "") in judge["choices"]
    assert rows["value"] == rows["maximum"] == 60 and "1 to 60" in rows["info"]
    assert ways["value"] == ["few_shot", "retrieval"] and "60 rows in 4 ways" in foreseen
    assert make["value"] == MAKE and "What it forgot" in summary and page == ""
    assert other["interactive"] is False


def test_a_judge_is_cautioned_of_before_it_is_asked(workspace: Workspace, run: Run) -> None:
    assert "judge" not in view.foreseen_for(workspace, run.id, FEW, [], "")
    says = view.foreseen_for(workspace, run.id, FEW, [], "starter")
    assert "both orders" in says and "the model that was tuned" in says
    with pytest.raises(ModelError):
        view.foreseen_for(workspace, run.id, FEW, [], "/no/such/folder")
    starter = workspace.model("starter")
    assert "small for a judge" in views.judge_foreseen(replace(starter, id="org/other"), starter)
    assert "caution" not in views.judge_foreseen(replace(starter, id="org/other", parameters=7_000_000_000), starter)


def test_a_receipt_that_is_stopped_leaves_nothing_and_says_so(workspace: Workspace, run: Run) -> None:
    flag = Event()
    flag.set()
    *_, last = view.making(workspace, run, view.Wanted(FEW, ()), flag)
    assert "Stopped" in last and workspace.receipts.kept(run.id) is None


def test_a_receipt_is_made_kept_and_shown(workspace: Workspace, run: Run) -> None:
    first, *_, last = view.making(workspace, run, view.Wanted(FEW, ()), Event())
    assert "Loading the model" in first and "made and kept" in last
    make, summary, page, other, _ = view.shown(workspace, run, True)
    assert make["value"] == AGAIN and f"of {FEW} held-out rows right" in summary and "<iframe" in page
    assert run.name in summary and "caution" not in summary
    assert other["interactive"] is False and view.beside(workspace, run.id, "") == ""


def test_a_run_whose_rows_are_gone_says_so_and_asks_nothing(workspace: Workspace, run: Run) -> None:
    directory = workspace.directory / "data"
    aside = shutil.move(directory, workspace.directory / "aside")
    directory.mkdir()
    other = Workspace.open(workspace.directory)
    rows, ways, judge, says, *_ = view.drawn_for(other, other.run(run.id))
    other.close()
    directory.rmdir()
    shutil.move(aside, directory)
    assert rows["interactive"] is ways["interactive"] is judge["interactive"] is False and 'role="alert"' in says
