from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import RunError
from engine.results.export import EXACT, EXPORT_FORMATS
from engine.types import Run
from engine.workspace import ExportChoice, ExportedModel, ExportJob, ExportStatus, PlanChoices, RoundTrip, Workspace
from ui import export, export_views

EVIL = "<img src=x onerror=alert(1)>"
TRIP = RoundTrip(20, 19, 0.0123, True, True, EVIL, EXACT)
DONE = ExportedModel("gguf", "Q8_0", Path(f"/{EVIL}"), (EVIL,), 12_000_000, TRIP, 3.0)
JOB = ExportJob("j", "r", "gguf", "Q8_0", Path("/x"), ExportStatus.RUNNING, EVIL, 0.4)


def test_a_format_that_cannot_be_is_off_and_says_why() -> None:
    drawn = export_views.formats(
        [ExportChoice(EXPORT_FORMATS["adapter"]), ExportChoice(EXPORT_FORMATS["gguf"], EVIL)], "adapter"
    )
    assert 'data-pick="format:adapter" aria-pressed="true">' in drawn
    assert 'data-pick="format:gguf" aria-pressed="false" aria-disabled="true">' in drawn and "<img" not in drawn


def test_an_export_under_way_shows_how_far_it_is_and_can_be_cancelled() -> None:
    drawn = export_views.jobs([JOB], {"gguf": "GGUF"}, {"r": EVIL})
    assert (
        'aria-valuenow="40"' in drawn
        and 'data-pick="cancel:j"' in drawn
        and "GGUF Q8_0" in drawn
        and "<img" not in drawn
    )


def test_an_export_that_is_done_says_how_it_was_tried_and_what_to_type() -> None:
    drawn = export_views.jobs([replace(JOB, status=ExportStatus.DONE, exported=DONE)], {"gguf": "GGUF"}, {})
    assert "19 of 20 questions answered with the very same tokens" in drawn and "ollama create" in drawn
    assert "19 of 20 answers the same" in drawn and "pill-good" not in drawn
    assert "cancel:" not in drawn and "<img" not in drawn


def test_an_export_that_failed_says_its_sentence() -> None:
    failed = replace(JOB, status=ExportStatus.FAILED, error=RunError(EVIL, next_step="Do."))
    assert 'role="alert"' in export_views.jobs([failed], {}, {}) and "<img" not in export_views.jobs([failed], {}, {})


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory):
    opened = Workspace.open(tmp_path_factory.mktemp("export") / "workspace")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    return workspace.train(workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", {"max_steps": 4})))


def test_a_run_is_exported_in_the_background_and_shown_with_its_round_trip(workspace: Workspace, run: Run) -> None:
    _, _, _, button, jobs, chosen, *_ = export.drawn_for(workspace, run)
    assert chosen == "adapter" and button["interactive"] and "Nothing exported yet" in jobs
    workspace.exports.start(run.id, "adapter")
    while any(job.is_active for job in workspace.exports.jobs.jobs()):
        time.sleep(0.05)
    drawn, clock = export.looked(workspace)
    assert "same answers" in drawn and "answered with the very same tokens" in drawn and not clock.active
