"""What is drawn from data holds no markup of the data's, and says what it has to say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.models.generation import GenerationChunk
from engine.training.curves import Block
from engine.types import (
    Checkpoint,
    Dataset,
    DatasetFormat,
    DatasetType,
    Estimate,
    HeldOut,
    PretrainedModel,
    Run,
    RunStatus,
    TrainingPlan,
)
from engine.workspace import (
    Chair,
    ColumnFacts,
    Derivation,
    DiskUse,
    Inspection,
    LengthEffect,
    Problem,
    Progress,
    RowsPage,
    RowsView,
    RunBytes,
    SeriesDelta,
    Severity,
    Side,
    TokenProfile,
    Verdict,
    Xray,
)
from ui import (
    chat_views,
    compare_views,
    data_views,
    disk_panel,
    length_views,
    rows_views,
    run_desk_views,
    run_list,
    train_views,
)
from ui.choices import Choices
from ui.conversation import Conversation
from ui.markup import text
from ui.status_bar import train_text
from ui.the_way import next_steps, stops_of, the_way

EVIL = "<img src=x onerror=alert(1)>\"'&"
DATASET = Dataset(
    "f" * 64, EVIL, Path("/a"), Path("/b"), 20, DatasetType.PROMPT_COMPLETION, DatasetFormat.STANDARD, EVIL, (EVIL,),
    {"prompt": EVIL},
)  # fmt: skip
MODEL = PretrainedModel(EVIL, EVIL, Path("/m"), 1_100_000, 1024, EVIL, "llama")
SETTINGS = {"learning_rate": 0.1, "per_device_train_batch_size": 8, "max_steps": 30}
PLAN = TrainingPlan(
    "lora", MODEL, DATASET, HeldOut("split", indices=(1, 2)), SETTINGS, "cpu", "float32",
    Estimate(100, {"weights": 60, EVIL: 40}, 12.0, 10, 100, 30),
)  # fmt: skip
RUN = Run("run-1", EVIL, RunStatus.RUNNING, PLAN, Path("/r"), created=0.0, step=3, steps=30)
FAILED = replace(RUN, status=RunStatus.FAILED, error={"what": EVIL, "where": EVIL, "next_step": EVIL})
TAGGED = replace(RUN, status=RunStatus.STOPPED, tags=(EVIL,), series=EVIL, directory=Path(f"/{EVIL}"))
WAITING = replace(RUN, id="run-2", status=RunStatus.QUEUED, place=1.0)
PROFILE = TokenProfile(
    rows=20, counted=10, edges=(0, 16, 32), totals=(6, 4), prompts=(10, 0), answers=(9, 1),
    effects=(LengthEffect(16, 2, 1, 150, 60, 7, 0.2), LengthEffect(30, 0, 0, 200, 80, 10, 0.1)), longest=((3, 30),), tokens=200,
    answer_ends_with=EVIL,
)  # fmt: skip
COLUMNS = (
    ColumnFacts(EVIL, bins=((0, 9, 12), (10, 19, 8))),
    ColumnFacts("label", classes=((EVIL, 3), ("b", 2)), other_classes=1, empty=1),
)
INSPECTION = Inspection(
    DATASET, Verdict.ACCEPT, (Problem(EVIL, Severity.WARNING, EVIL),), 20, (EVIL,), "jsonl", EVIL
)  # fmt: skip
PAGE = RowsPage(("row", EVIL), (("1", EVIL), ("2", EVIL)), 0, 20)
RENDERED = SimpleNamespace(
    text=EVIL, token_ids=(1, 2, 3), trained=(False, True, True), pieces=("<|user|>", EVIL, "end"), cut_at=2, raw=False
)
CHAIR, OTHER = Chair(f"run:{EVIL}", EVIL, EVIL, has_adapter=True), Chair("base", EVIL, EVIL)
CHUNK = GenerationChunk(CHAIR.key, EVIL, 3, 0.5, 0.1, True, "stop", True)
TALK = (
    Conversation()
    .asked(EVIL)
    .answered(CHUNK)
    .answered(replace(CHUNK, arm="base", text=f"{EVIL} too", adapter_active=False))
)
ONE_SIDE = Xray((Side("", RENDERED),))
PAIR = Xray((Side("chosen", RENDERED, (False, True, False)), Side("rejected", RENDERED, (False, False, False))))
DERIVATION = Derivation(
    "x", EVIL, EVIL, DatasetType.PREFERENCE, DatasetType.PROMPT_COMPLETION, lambda row: iter([{}])
)  # fmt: skip

DRAWN = {
    "overview": data_views.overview(INSPECTION, 2, PROFILE, 1024),
    "findings": data_views.findings(INSPECTION.problems, PROFILE, 16),
    "misfit": data_views.misfit(EVIL, [EVIL], [DERIVATION]),
    "reading": data_views.reading(EVIL, Progress(3, 0.5)),
    "rows": rows_views.rows_table(PAGE, 1, COLUMNS),
    "ways": rows_views.views_bar(RowsView(column=EVIL, value=EVIL), 3),
    "lengths": length_views.lengths(PROFILE, 16),
    "xray": rows_views.xray(ONE_SIDE, 1),
    "xray of a pair": rows_views.xray(PAIR, 1),
    "rejected": data_views.rejected(INSPECTION, EVIL),
    "asked": data_views.rejected(replace(INSPECTION, verdict=Verdict.ASK), EVIL),
    "outcome": train_views.outcome(FAILED),
    "out of memory": train_views.outcome(FAILED, [EVIL]),
    "paused by itself": train_views.outcome(replace(FAILED, status=RunStatus.PAUSED)),
    "runs": run_list.runs_panel([RUN, FAILED, TAGGED], "run-1", {}, 1.0, waiting=[WAITING], held=True, notice=EVIL),
    "desk": run_desk_views.desk(TAGGED, [Checkpoint("run-1", 3, Path("/r/c"), 9, -0.5)], RunBytes(99, 9), 3),
    "disk": disk_panel.disk_shown(DiskUse({"run-1": RunBytes(99, 9)}, 1, 2, 3), [TAGGED]),
    "about": train_views.about_to_run(EVIL, EVIL, EVIL, 3),
    "label": chat_views.pane_label(CHAIR, EVIL, CHUNK),
    "talk": chat_views.talk(TALK.asked(EVIL), (CHAIR, OTHER), (), differs=True),
    "last turn": chat_views.last_turn(TALK, (CHAIR, OTHER), (), differs=True, writing=False),
    "word difference": chat_views.difference(f"one {EVIL} two three", f"one {EVIL} two four", (EVIL, EVIL)),
    "far apart": chat_views.difference(EVIL, "quite another text altogether", (EVIL, EVIL)),
    "in memory": chat_views.in_memory([SimpleNamespace(title=EVIL, what="base", size_bytes=3)]),
    "way": the_way(Choices(dataset="f", dataset_name=EVIL, dataset_rows=3), RUN, EVIL, EVIL),
    "busy": compare_views.busy(EVIL),
}


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_that_comes_from_data_becomes_markup(name: str) -> None:
    assert DRAWN[name]
    assert "<img" not in DRAWN[name]
    assert 'onerror=alert(1)>"' not in DRAWN[name]


def test_text_is_safe_inside_quoted_attributes_too() -> None:
    assert text("\"'<>&") == "&quot;&#x27;&lt;&gt;&amp;"


def test_the_xray_tells_learnt_read_special_and_cut_apart() -> None:
    drawn = rows_views.xray(ONE_SIDE, 1)
    assert 'class="tok special"' in drawn
    assert 'class="tok learnt"' in drawn
    assert 'class="tok gone"' in drawn
    assert "cut here" in drawn
    assert "1 learnt, cut at 2" in drawn


def test_problems_are_named_by_a_word_and_the_worst_stands_first() -> None:
    problems = [Problem("a", Severity.NOTE, "a note"), Problem("b", Severity.ERROR, "an error")]
    drawn = data_views.findings_list(problems, None, 1024)
    assert drawn.index("an error") < drawn.index("a note")
    assert "Fix" in drawn
    assert "Note" in drawn


def test_what_a_length_costs_becomes_sentences() -> None:
    drawn = data_views.findings_list([], PROFILE, 16)
    assert "4 rows longer than 16 tokens will be cut" in drawn
    assert "2 rows with nothing to learn" in drawn


def test_a_sample_is_said_to_be_one_and_can_be_counted_whole() -> None:
    drawn = length_views.lengths(PROFILE, 16)
    assert "Counted on 10 of 20 rows" in drawn and 'data-pick="count-all"' in drawn
    assert "count-all" not in length_views.lengths(replace(PROFILE, rows=10), 16)


def test_what_differs_between_the_sides_of_a_pair_is_marked() -> None:
    drawn = rows_views.xray(PAIR, 1)
    assert drawn.count('class="xray"') == 2
    assert drawn.count('class="tok learnt differs"') == 1
    assert "differs from the other side" in drawn


def test_a_file_of_old_letters_can_be_read_as_what_it_is() -> None:
    old = replace(INSPECTION, problems=(Problem("encoding", Severity.ERROR, "the byte 0x93"),), verdict=Verdict.REJECT)
    assert 'data-pick="encoding:cp1252"' in data_views.rejected(old, "old.csv")
    assert "encoding:cp1252" not in data_views.rejected(INSPECTION, "a.csv")


def test_a_pane_is_named_by_what_was_measured_not_by_what_was_asked_for() -> None:
    drawn = chat_views.pane_label(CHAIR, "", replace(CHUNK, adapter_active=False))
    assert "base weights" in drawn and 'data-adapter="off"' in drawn
    assert "this pane should show the other one" in drawn


def test_close_answers_are_compared_word_by_word_and_others_by_length() -> None:
    assert "<del>seven</del> <ins>eight</ins>" in chat_views.difference("we open at seven", "we open at eight")
    assert "Too different" in chat_views.difference("I do not know that", "We open early every single morning")
    assert "say the same, word for word" in chat_views.difference("yes", "yes")


def test_the_page_gets_figures_that_are_new_and_keeps_the_others() -> None:
    first = SeriesDelta(5, False, (Block([1], {"loss": [2.0]}),), "running", 3, 30, 9.0, 120.0, 10**6, 4.0)
    answer = train_views.live_answer(RUN, first)
    assert answer["words"]["left"] == "9 s"
    assert answer["blocks"] == [{"steps": [1], "columns": {"loss": [2.0]}}]
    nothing_new = train_views.live_answer(RUN, SeriesDelta(5, False, (), "running", 3, 30))
    assert not {"left", "speed", "memory", "elapsed"} & set(nothing_new["words"])


@pytest.mark.parametrize(
    ("choices", "run", "on", "tab"),
    [
        (Choices(), None, "technique", "data"),
        (Choices(dataset="f"), None, "data", "technique"),
        (Choices(dataset="f"), None, "technique", "train"),
        (Choices(dataset="f"), None, "train", ""),
        (Choices(dataset="f"), RUN, "train", ""),
        (Choices(dataset="f"), replace(RUN, status=RunStatus.FINISHED), "train", "compare"),
        (Choices(dataset="f"), FAILED, "train", "technique"),
        (Choices(dataset="f"), replace(RUN, status=RunStatus.FINISHED), "compare", "technique"),
    ],
)
def test_each_tab_has_one_next_step(choices: Choices, run: Run | None, on: str, tab: str) -> None:
    assert [step.tab for step in next_steps(choices, run) if step.on == on] == [tab]


def test_the_way_tells_what_is_chosen_at_each_stop() -> None:
    chosen = [stop.chosen for stop in stops_of(Choices(dataset="f", dataset_name="Shop"), RUN, "LoRA", "Starter")]
    assert chosen == ["Shop", "LoRA · Starter", "Training, 3 of 30", "After training"]
    assert train_text(replace(RUN, status=RunStatus.FINISHED)) == "Finished"


def test_a_run_that_waits_can_be_moved_but_not_beyond_the_ends() -> None:
    first, last = replace(WAITING, id="run-3"), WAITING
    drawn = run_list.runs_panel([last, first, RUN], None, {}, 1.0, waiting=[first, last])
    off = re.findall(r'data-pick="(up|down):(run-\d)"[^>]* disabled>', drawn)
    assert off == [("up", "run-3"), ("down", "run-2")] and drawn.count('data-pick="cancel:') == 2


def test_what_is_active_can_be_neither_deleted_nor_tidied() -> None:
    checkpoint = Checkpoint("run-1", 3, Path("/r/c"), 9)
    active, ended = (run_desk_views.desk(run, [checkpoint], RunBytes(99, 9), 3) for run in (RUN, TAGGED))
    assert (
        len(re.findall(r'data-pick="(?:delete|tidy)"[^>]* disabled', active)) == 2 and "Resume from here" not in active
    )
    assert not re.findall(r'data-pick="(?:delete|tidy)"[^>]* disabled', ended) and "Resume from here" in ended


def test_a_run_that_ran_out_of_memory_offers_each_way_as_a_button() -> None:
    drawn = train_views.outcome(FAILED, ["Halve the batch", "Shorter rows", "QLoRA"])
    assert re.findall(r'data-pick="(way:\d)">([^<]+)<', drawn) == [
        ("way:0", "Halve the batch"), ("way:1", "Shorter rows"), ("way:2", "QLoRA"),
    ]  # fmt: skip
