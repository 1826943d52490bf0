"""An exported folder sent to an imitation of the hub: a real server, and the hub's own library in between."""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from engine import verbs
from engine.__main__ import arguments_from
from engine.errors import RunError, UsageError
from engine.types import Run
from engine.workspace import ExportedModel, ExportStatus, HubPush, KeptExport, Workspace
from tests.engine.results.hub_of_pushes import TOKEN, HubOfPushes, serving_pushes


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("short")


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    return workspace.runs()[-1]


@pytest.fixture(scope="module")
def exported(workspace: Workspace, run: Run) -> ExportedModel:
    *_, last = workspace.exports.steps(run.id, "merged", workspace.directory / "exports" / "one")
    assert last.exported
    return last.exported


@pytest.fixture
def kept(workspace: Workspace, exported: ExportedModel) -> KeptExport:
    return next(one for one in workspace.exports.kept() if one.model.directory == exported.directory)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubOfPushes]:
    with serving_pushes() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def plan(workspace: Workspace, kept: KeptExport, hub: HubOfPushes) -> HubPush:
    return workspace.exports.plan_push(kept.id, "ada/shop")


def test_nothing_is_sent_to_say_what_would_be(plan: HubPush, hub: HubOfPushes, exported: ExportedModel) -> None:
    assert [name for name, _ in plan.files] == list(exported.files)
    assert sum(size for _, size in plan.files) == exported.bytes
    assert plan.private and plan.login and any("rows it was trained on" in caution for caution in plan.cautions)
    assert hub.asked == []


def test_a_folder_arrives_whole_and_private(
    workspace: Workspace, plan: HubPush, hub: HubOfPushes, exported: ExportedModel
) -> None:
    *_, last = workspace.exports.push_steps(plan)
    assert last.share == 1 and hub.private == {"ada/shop": True}
    assert json.loads(hub.asked[0][3])["visibility"] == "private"
    assert hub.repositories["ada/shop"] == {name: (exported.directory / name).read_bytes() for name in exported.files}
    assert workspace.exports.one(plan.export).pushed == "ada/shop"


def test_the_token_stands_only_in_the_header_for_it(workspace: Workspace, plan: HubPush, hub: HubOfPushes) -> None:
    list(workspace.exports.push_steps(plan))
    assert len(hub.asked) > 4
    for _, path, headers, body in hub.asked:
        assert TOKEN not in path and TOKEN.encode() not in body
        assert [name for name, value in headers.items() if TOKEN in value] in ([], ["authorization"])
    written = [
        path.read_bytes() for path in workspace.directory.rglob("*") if path.is_file() and path.suffix != ".safetensors"
    ]
    assert written and not any(TOKEN.encode() in content for content in written)


def test_everybody_sees_only_what_was_asked_to_be_public(
    workspace: Workspace, kept: KeptExport, hub: HubOfPushes
) -> None:
    public = workspace.exports.plan_push(kept.id, "ada/shop", private=False)
    list(workspace.exports.push_steps(public))
    assert "everybody" in public.cautions[0] and hub.private == {"ada/shop": False}


def test_only_what_was_shown_is_sent(workspace: Workspace, plan: HubPush, hub: HubOfPushes) -> None:
    with pytest.raises(UsageError, match="not what was shown"):
        workspace.exports.push(replace(plan, private=False))
    assert hub.asked == []


@pytest.mark.parametrize(
    ("status", "sentence"), [(401, "does not accept the token"), (403, "not allowed to write"), (500, "refused the push")]
)  # fmt: skip
def test_a_refusal_of_the_hub_is_a_sentence(
    workspace: Workspace, plan: HubPush, hub: HubOfPushes, status: int, sentence: str
) -> None:
    hub.refuses["/api/repos/create"] = status
    with pytest.raises(RunError, match=sentence) as told:
        list(workspace.exports.push_steps(plan))
    assert TOKEN not in str(told.value)


def test_a_repository_that_holds_something_is_left_alone(workspace: Workspace, plan: HubPush, hub: HubOfPushes) -> None:
    hub.repositories["ada/shop"], hub.private["ada/shop"] = {"mine.txt": b"mine"}, True
    with pytest.raises(RunError, match="of this name already"):
        list(workspace.exports.push_steps(plan))
    assert hub.repositories["ada/shop"] == {"mine.txt": b"mine"}


def test_an_empty_repository_of_a_push_that_ended_early_is_used(
    workspace: Workspace, plan: HubPush, hub: HubOfPushes
) -> None:
    hub.repositories["ada/shop"], hub.private["ada/shop"] = {}, True
    *_, last = workspace.exports.push_steps(plan)
    assert last.share == 1 and hub.repositories["ada/shop"]


def test_an_empty_repository_that_everybody_sees_is_no_private_one(
    workspace: Workspace, plan: HubPush, hub: HubOfPushes
) -> None:
    hub.repositories["ada/shop"], hub.private["ada/shop"] = {}, False
    with pytest.raises(RunError, match="of this name already"):
        list(workspace.exports.push_steps(plan))


def test_no_token_is_said_before_anything_is_sent(
    workspace: Workspace, plan: HubPush, hub: HubOfPushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UsageError, match="hf auth login"):
        workspace.exports.push(plan)
    assert hub.asked == []


def test_no_connection_is_a_sentence(workspace: Workspace, plan: HubPush, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RunError, match="no connection to the hub"):
        list(workspace.exports.push_steps(plan))


def test_a_push_that_is_cancelled_in_the_middle_shows_no_file(
    workspace: Workspace, plan: HubPush, hub: HubOfPushes
) -> None:
    hub.slow_seconds = 0.05
    job = workspace.exports.push(plan)
    while workspace.exports.pushes.job(job.id).share < 0.15:
        time.sleep(0.02)
    workspace.exports.pushes.cancel(job.id)
    while (ended := workspace.exports.pushes.job(job.id)).is_active:
        time.sleep(0.02)
    assert ended.status is ExportStatus.CANCELLED and ended.target == "ada/shop"
    assert hub.repositories["ada/shop"] == {}


def test_a_name_that_is_none_is_refused(workspace: Workspace, kept: KeptExport) -> None:
    with pytest.raises(UsageError, match="owner/name"):
        workspace.exports.plan_push(kept.id, "../shop")


def arguments(run: Run, out: Path, *more: str) -> argparse.Namespace:
    return arguments_from(["export", run.id, "--format", "adapter", "--out", str(out), "--push", "ada/line", *more])


def test_the_command_line_asks_before_it_sends(
    workspace: Workspace,
    run: Run,
    hub: HubOfPushes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = io.StringIO("no\n")
    monkeypatch.setattr(typed, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", typed)
    answer = verbs.export(workspace, arguments(run, tmp_path / "out"))
    assert answer["pushed"] == {"repository": "ada/line", "sent": False} and hub.asked == []  # type: ignore[index]
    said = capsys.readouterr().err
    assert "ada/line (private)" in said and "adapter_model.safetensors" in said


def test_the_command_line_sends_without_asking_only_when_told_to(
    workspace: Workspace, run: Run, hub: HubOfPushes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageError, match="--yes"):
        verbs.export(workspace, arguments(run, tmp_path / "out"))
    verbs.export(workspace, arguments(run, tmp_path / "out", "--yes"))
    assert hub.private == {"ada/line": True} and "README.md" in hub.repositories["ada/line"]


@pytest.mark.parametrize(
    ("name", "token", "said"), [("no name", TOKEN, "owner/name"), ("ada/line", "", "hf auth login")]
)
def test_the_command_line_says_before_the_export_what_would_stop_the_push(
    workspace: Workspace,
    run: Run,
    hub: HubOfPushes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    token: str,
    said: str,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    asked = arguments(run, tmp_path / "out", "--yes")
    asked.push = name
    with pytest.raises(UsageError, match=said):
        verbs.export(workspace, asked)
    assert not (tmp_path / "out").exists() and hub.asked == []
