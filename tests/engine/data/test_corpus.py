"""Every file of the corpus gets the verdict that serves a person, and sentences that say what, where and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

from engine.data.inspection import Inspection, inspect_file
from engine.data.problems import VERDICT_OF_SEVERITY, Problem, Verdict
from engine.types import Dataset
from tests.engine.data.corpus import CORPUS
from tests.engine.data.file_kinds import Kind

LEAST_KINDS = 95


def _row(kind: Kind) -> object:
    marks = [pytest.mark.xfail(strict=True, reason=kind.defect)] if kind.defect else []
    return pytest.param(kind, id=kind.file, marks=marks)


@pytest.mark.parametrize("kind", [_row(kind) for kind in CORPUS])
def test_a_file_gets_its_verdict_and_says_why(kind: Kind, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    inspection = inspect_file(kind.write(folder), tmp_path / "data")
    assert inspection.verdict in kind.verdicts, said(inspection)
    assert (inspection.dataset is None) == (inspection.verdict in {Verdict.ASK, Verdict.REJECT})
    assert_rows(kind, inspection)
    assert_words(kind, inspection)
    assert_place(kind, inspection)


def said(inspection: Inspection) -> str:
    """Everything that a person is told."""
    return "\n".join([inspection.message, *(problem.message for problem in inspection.problems)])


def assert_rows(kind: Kind, inspection: Inspection) -> None:
    if kind.rows is not None and inspection.verdict is not Verdict.REJECT:
        assert inspection.rows == kind.rows, said(inspection)
    if inspection.dataset:
        assert set(kind.keeps) <= set(texts_of(inspection.dataset))


def texts_of(dataset: Dataset) -> Iterator[str]:
    """Every text of the clean copy."""
    left: list[object] = pyarrow.parquet.read_table(dataset.parquet_path).to_pylist()
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            left.extend(value.values() if isinstance(value, dict) else value)


def assert_words(kind: Kind, inspection: Inspection) -> None:
    everything = said(inspection)
    assert "Traceback" not in everything
    everything.encode()  # what cannot be encoded cannot be shown
    if not is_quiet(kind, inspection):
        everything = everything.replace(kind.file, "")  # a name is no explanation
        assert [words for words in kind.words if words not in everything] == [], everything


def is_quiet(kind: Kind, inspection: Inspection) -> bool:
    """Whether nothing has to be said: the file was accepted where it might have been refused."""
    return inspection.verdict is Verdict.ACCEPT and Verdict.REJECT in kind.verdicts


def assert_place(kind: Kind, inspection: Inspection) -> None:
    if is_quiet(kind, inspection) or (kind.line is None and kind.column is None):
        return
    assert any(is_place(kind, inspection, problem) for problem in inspection.problems), inspection.problems


def is_place(kind: Kind, inspection: Inspection, problem: Problem) -> bool:
    """Whether a problem that decides the verdict names line and column, where they are known."""
    decides = VERDICT_OF_SEVERITY[problem.severity] is inspection.verdict
    lined = kind.line is None or (problem.line == kind.line and f"line {kind.line}" in problem.message)
    return decides and lined and (kind.column is None or problem.column == kind.column)


def test_the_corpus_has_many_kinds_and_each_of_them_once() -> None:
    assert len({kind.file for kind in CORPUS}) == len(CORPUS) >= LEAST_KINDS
    assert {verdict for kind in CORPUS for verdict in kind.verdicts} == set(Verdict)


def test_the_same_row_writes_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    for kind in CORPUS:
        paths = [kind.write(tmp_path / folder) for folder in ("first", "second")]
        if all(path.is_file() and path.resolve().is_relative_to(tmp_path) for path in paths):
            assert paths[0].read_bytes() == paths[1].read_bytes(), kind.file
