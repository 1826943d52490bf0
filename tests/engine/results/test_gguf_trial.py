"""A GGUF file in llama.cpp: what is said without it, what it answers where it is installed, and what becomes of its falls."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine.models.loading import load_tokenizer
from engine.results.export import EXACT, ExportedModel, LlamaCppTrip, RoundTrip
from engine.results.gguf_trial import PACKAGE, ask_llama_cpp
from engine.results.round_trip import Probes, Stopped, Witness
from engine.workspace import Workspace

INSTALLED = find_spec(PACKAGE) is not None
STARTS = "__version__ = '0'\nllama_vocab_is_eog = llama_model_get_vocab = None\nimport os, sys, time\n"


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("taught")


def exported(workspace: Workspace, out: Path, quantisation: str) -> ExportedModel:
    *_, last = workspace.exports.steps(workspace.runs()[-1].id, "gguf", out, {"quantisation": quantisation})
    assert last.exported
    return last.exported


def asked(workspace: Workspace, file: Path, choice: str = "F16", probes: Probes | None = None) -> LlamaCppTrip:
    tokenizer = load_tokenizer(workspace.model("starter"))
    probes = probes or Probes((({"role": "user", "content": "Hi"},),), False, 512, True)
    return ask_llama_cpp(file, tokenizer, probes, Witness(((5, 6),), (), ((7,),), frozenset()), choice, 0.7)


@pytest.mark.skipif(INSTALLED, reason="llama.cpp is installed")
def test_without_llama_cpp_the_record_and_the_card_say_that_it_was_not_tried(
    workspace: Workspace, tmp_path: Path
) -> None:
    made = exported(workspace, tmp_path / "out", "F16")
    said = made.round_trip.llama_cpp
    assert said and said.program == said.problem == "" and "not installed" in said.sentence
    assert said.sentence in (tmp_path / "out" / "README.md").read_text()
    assert workspace.exports.kept()[0].model == made


@pytest.mark.skipif(not INSTALLED, reason="llama.cpp is not installed")
@pytest.mark.parametrize(("quantisation", "least"), [("F32", 20), ("F16", 20), ("Q8_0", 18), ("Q4_0", 8)])
def test_llama_cpp_answers_like_the_run(workspace: Workspace, tmp_path: Path, quantisation: str, least: int) -> None:
    made = exported(workspace, tmp_path / "out", quantisation)
    said = made.round_trip.llama_cpp
    assert said and said.program.startswith("llama-cpp-python") and said.trouble == ""
    assert said.prompts == said.same_prompts == 20 and said.same >= least
    assert said.sentence in (tmp_path / "out" / "README.md").read_text()
    assert workspace.exports.kept()[0].model == made


@pytest.mark.skipif(not INSTALLED, reason="llama.cpp is not installed")
@pytest.mark.parametrize(("quantisation", "fails"), [("F16", True), ("Q4_0", False)])
def test_a_file_that_llama_cpp_cannot_load_fails_where_numbers_are_fine(
    workspace: Workspace, tmp_path: Path, quantisation: str, fails: bool
) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(60))
    said = asked(workspace, tmp_path / "model.gguf", quantisation)
    assert "could not answer from this file" in said.sentence and str(tmp_path) not in said.sentence
    assert bool(said.problem) is fails


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a place for a package of llama.cpp's name that behaves badly."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / f"{PACKAGE}.py"


@pytest.mark.parametrize(
    ("code", "found", "fails"),
    [
        ("raise ImportError('no shared library')", "does not start (ImportError: no shared library)", False),
        (STARTS + "def Llama(*a, **k): os.abort()", "could not answer from this file: ended by SIGABRT", True),
        (STARTS + "def Llama(*a, **k): os.kill(os.getpid(), 9)", "ended by the system (SIGKILL)", False),
        (STARTS + "def Llama(f, **k): raise ValueError('no model: ' + f)", "ValueError: no model: model.gguf", True),
    ],
)  # fmt: skip
def test_a_fall_of_llama_cpp_is_told_and_counts_against_the_file_only_where_it_read_it(
    workspace: Workspace, stand_in: Path, tmp_path: Path, code: str, found: str, fails: bool
) -> None:
    stand_in.write_text(code)
    said = asked(workspace, tmp_path / "model.gguf")
    assert found in said.sentence and bool(said.problem) is fails


def test_llama_cpp_is_ended_when_the_person_stops_the_export(
    workspace: Workspace, stand_in: Path, tmp_path: Path
) -> None:
    stand_in.write_text(STARTS + "def Llama(*a, **k): time.sleep(60)")
    began = time.monotonic()
    probes = Probes((({"role": "user", "content": "Hi"},),), False, 512, True, lambda: time.monotonic() > began + 1)
    with pytest.raises(Stopped):
        asked(workspace, tmp_path / "model.gguf", probes=probes)
    assert time.monotonic() - began < 10


def test_llama_cpp_that_does_not_come_to_an_end_is_told(
    workspace: Workspace, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.write_text(STARTS + "def Llama(*a, **k): time.sleep(60)")
    monkeypatch.setattr("engine.results.gguf_trial.WALL_SECONDS", 1)
    said = asked(workspace, tmp_path / "model.gguf")
    assert "had not finished" in said.sentence and said.problem == ""


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (LlamaCppTrip("p", "", 20, 14, 20, 0.7), ""), (LlamaCppTrip("p", "", 20, 13, 20, 0.7), "only 13 of 20"),
        (LlamaCppTrip("p", "", 20, 20, 19, 0.7), "cuts only 19"), (LlamaCppTrip("p", "", 20, 0, 0, None), ""),
        (LlamaCppTrip("p", "", 20, 20, None, 0.7), ""),
    ],
)  # fmt: skip
def test_a_round_trip_fails_with_llama_cpp_where_it_is_bound(said: LlamaCppTrip, problem: str) -> None:
    trip = RoundTrip(20, 20, 0.0, True, True, "others", EXACT, said)
    assert problem in trip.problem and bool(problem) == bool(trip.problem)
