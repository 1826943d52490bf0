from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import RunError, UsageError
from engine.results.export import EXACT, EXPORT_FORMATS, LlamaCppTrip
from engine.types import Run
from engine.workspace import (
    ExportChoice,
    ExportedModel,
    ExportJob,
    ExportSpeed,
    ExportStatus,
    HubPush,
    JobKind,
    KeptExport,
    RoundTrip,
    SpeedLine,
    SpeedTable,
    Workspace,
)
from ui import export, export_hub, export_speed_view, export_views

EVIL = "<img src=x onerror=alert(1)>"
TRIP = RoundTrip(20, 19, 0.0123, True, True, EVIL, EXACT)
DONE = ExportedModel("gguf", "Q8_0", Path(f"/{EVIL}"), (EVIL,), 12_000_000, TRIP, 3.0)
KEPT = KeptExport("k", "r", EVIL, DONE, 0.0)
JOB = ExportJob("j", "r", "gguf", "Q8_0", Path("/x"), ExportStatus.RUNNING, EVIL, 0.4)


def test_a_format_that_cannot_be_is_off_and_says_why() -> None:
    drawn = export_views.formats(
        [ExportChoice(EXPORT_FORMATS["adapter"]), ExportChoice(EXPORT_FORMATS["gguf"], EVIL)], "adapter"
    )
    assert 'data-pick="format:adapter" aria-pressed="true">' in drawn
    assert 'data-pick="format:gguf" aria-pressed="false" aria-disabled="true">' in drawn and "<img" not in drawn


def test_a_format_says_what_is_special_to_this_run() -> None:
    drawn = export_views.formats([ExportChoice(EXPORT_FORMATS["gguf"], note=f"By others. {EVIL}")], "gguf")
    assert "for llama.cpp and Ollama. By others." in drawn and "<img" not in drawn


def test_an_export_under_way_shows_how_far_it_is_and_can_be_cancelled() -> None:
    drawn = export_views.jobs([JOB], [], {"gguf": "GGUF"}, {"r": EVIL}, 0)
    assert (
        'aria-valuenow="40"' in drawn
        and 'data-pick="cancel:j"' in drawn
        and "GGUF Q8_0" in drawn
        and "<img" not in drawn
    )


def test_an_export_that_is_kept_says_how_it_was_tried_and_what_to_type() -> None:
    drawn = export_views.jobs([], [KEPT], {"gguf": "GGUF"}, {"r": EVIL}, 0)
    assert "19 of 20 questions answered with the very same tokens" in drawn and "ollama create" in drawn
    assert "19 of 20 answers the same" in drawn and "pill-good" not in drawn
    assert 'data-pick="delete:k" data-confirm="' in drawn and "cancel:" not in drawn and "<img" not in drawn


@pytest.mark.parametrize(
    ("said", "found", "verdict"),
    [
        (LlamaCppTrip("", EVIL), "pip install llama-cpp-python", "same answers"),
        (LlamaCppTrip(EVIL, "", 20, 20, 20), "answered 20 of 20 questions", "same answers"),
        (LlamaCppTrip(EVIL, "", 20, 13, 20), "answered 13 of 20 questions", "13 of 20 answers the same in llama.cpp"),
        (LlamaCppTrip(EVIL, "could not"), ") could not.", "not answered by llama.cpp"),
    ],
)  # fmt: skip
def test_what_llama_cpp_itself_answered_stands_beside_the_round_trip(
    said: LlamaCppTrip, found: str, verdict: str
) -> None:
    trip = replace(TRIP, same=20, llama_cpp=said)
    drawn = export_views.jobs([], [replace(KEPT, model=replace(DONE, round_trip=trip))], {}, {"r": "run"}, 0)
    assert found in drawn and f">{verdict}<" in drawn and "<img" not in drawn


def test_an_export_that_was_changed_is_said_and_cannot_be_pushed() -> None:
    drawn = export_views.jobs([], [replace(KEPT, change=f"{EVIL} was changed")], {}, {"r": "run"}, 0)
    assert "not as it was written" in drawn and "answers the same" not in drawn and "<img" not in drawn
    assert 'data-pick="push:k" aria-label="Push gguf Q8_0 of run" aria-disabled="true"' in drawn


def test_an_export_of_a_run_that_is_deleted_is_listed_and_not_sent() -> None:
    drawn = export_views.jobs([], [KEPT], {}, {}, 0)
    assert "the run is deleted" in drawn and "Round trip" in drawn
    assert 'aria-disabled="true"' in drawn and 'data-pick="delete:k"' in drawn


def test_an_export_that_failed_says_its_sentence() -> None:
    failed = replace(JOB, status=ExportStatus.FAILED, error=RunError(EVIL, next_step="Do."))
    drawn = export_views.jobs([failed], [], {}, {}, 0)
    assert 'role="alert"' in drawn and "<img" not in drawn


def test_a_push_that_was_cancelled_says_what_may_be_left() -> None:
    ended = replace(JOB, status=ExportStatus.CANCELLED, kind=JobKind.PUSH, target=EVIL)
    drawn = export_views.jobs([ended], [], {}, {}, 0)
    assert "None of its files is to be seen there" in drawn and "<img" not in drawn


def test_long_work_says_how_much_time_is_left() -> None:
    drawn = export_views.jobs([replace(JOB, share=0.5, seconds=120.0)], [], {}, {}, 0)
    assert "about 2 min left" in drawn


LINE = SpeedLine("k", EVIL, ExportSpeed("gguf", "Q8_0", 1_200_000, 4_400_000, 0.0123, 81.0, 0.75, EVIL, 20, 0.53, 0.89))
TABLE = SpeedTable((replace(LINE, export=""), LINE), 0.0, EVIL, True)


def test_the_table_of_speeds_shows_each_figure_with_its_interval_and_what_it_was_measured_on() -> None:
    drawn = export_speed_view.speeds(TABLE, [KEPT], "", False, 60)
    for figure in (
        "1.2 MB",
        "4.4 MB",
        "12 ms",
        "81",
        "0.75 (0.53 to 0.89)",
        "20 held-out rows each",
        "GGUF: transformers",
    ):
        assert figure in drawn
    assert drawn.count('<th scope="row">') == 2 and "<img" not in drawn and "since" not in drawn


def test_a_measured_export_that_is_gone_is_said() -> None:
    assert "deleted since" in export_speed_view.speeds(TABLE, [], "", False, 0)
    assert "changed since" in export_speed_view.speeds(TABLE, [replace(KEPT, change="x")], "", False, 0)


def test_exports_that_came_after_the_measuring_are_counted() -> None:
    assert "1 export came since" in export_speed_view.speeds(TABLE, [KEPT, replace(KEPT, id="new")], "", False, 0)


def test_what_cannot_be_measured_is_off_with_its_reason() -> None:
    drawn = export_speed_view.speeds(None, [], EVIL, False, 0)
    assert 'data-pick="measure" aria-disabled="true"' in drawn and "<img" not in drawn


PLAN = HubPush("k", EVIL, True, ((EVIL, 5_000_000),), (EVIL,), EVIL, "", "seal")


def test_a_push_shows_every_file_and_who_sees_it() -> None:
    drawn = export_hub.preview_view(PLAN)
    assert "5.0 MB" in drawn and ">private<" in drawn and "<img" not in drawn
    assert ">public<" in export_hub.preview_view(replace(PLAN, private=False))


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("short")


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    return workspace.runs()[-1]


def test_a_run_is_exported_in_the_background_and_shown_with_its_round_trip(workspace: Workspace, run: Run) -> None:
    _, _, _, button, chosen, jobs, _, speed, *_ = export.drawn_for(workspace, run)
    assert chosen == "adapter" and button["interactive"] and "Nothing exported yet" in jobs
    assert "no export yet" in speed
    workspace.exports.start(run.id, "adapter")
    ended(workspace)
    drawn, clock, speed = export.looked(workspace, run.id)
    assert "same answers" in drawn and "answered with the very same tokens" in drawn and not clock.active
    assert "1 export to measure" in speed


def ended(workspace: Workspace) -> None:
    while any(job.is_active for job in (*workspace.exports.jobs.jobs(), *workspace.exports.pushes.jobs())):
        time.sleep(0.05)


@pytest.fixture
def id(workspace: Workspace, run: Run) -> str:
    if not workspace.exports.kept():
        workspace.exports.start(run.id, "adapter")
        ended(workspace)
    return workspace.exports.kept()[0].id


def test_a_push_is_possible_only_after_it_was_shown(
    workspace: Workspace, run: Run, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    whole, _, _, seen, token, export_id, preview, send, plan = export.acted(workspace, f"push:{id}", run.id)
    assert whole["visible"] and seen == "private" and not token["visible"] and export_id == id
    assert not send["interactive"] and plan is None and preview == ""
    preview, send, plan = export_hub.planned(workspace, id, "ada/shop", seen)
    assert send["interactive"] and plan.private and "adapter_model.safetensors" in preview


def test_a_push_without_a_connection_is_off_with_its_reason(
    workspace: Workspace, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    preview, send, _ = export_hub.planned(workspace, id, "ada/shop", "private")
    assert not send["interactive"] and "work offline" in preview


def test_speeds_are_measured_from_the_window_and_exports_deleted(workspace: Workspace, run: Run, id: str) -> None:
    export.acted(workspace, "measure", run.id)
    ended(workspace)
    _, _, speed = export.looked(workspace, run.id)
    assert "Base model" in speed and "Tuned, merged, float32" in speed and "Adapter" in speed
    kept = workspace.exports.one(id)
    export.acted(workspace, f"delete:{id}", run.id)
    drawn, _, speed = export.looked(workspace, run.id)
    assert "Nothing exported yet" in drawn and "deleted since" in speed and not kept.model.directory.exists()


@pytest.mark.parametrize("key", ["", "delete:../x", "push:unknown", "cancel:unknown", "else:k"])
def test_a_button_that_is_not_there_does_nothing(workspace: Workspace, run: Run, key: str) -> None:
    with pytest.raises(UsageError):
        export.acted(workspace, key, run.id)
