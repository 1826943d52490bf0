"""A folder of odd dataset files against what its manifest.json expects of each: verdict, words, place, time, memory.

    python benchmarks/corpus.py DIR [--timeout SECONDS]

The manifest is {"files": [{"file", "special", "expect": {"verdict", "rows"?, "message_has"?, "line"?, "column"?}, "note"?}]}.
Every file is inspected in a process of its own, so that a crash or a hang costs one row. Memory is the peak of that
process above the peak of one that imports the same and inspects nothing. Ends with 1 unless every verdict is right; one
that only the note allows ("reject is acceptable") is counted apart. Needs nothing but the project itself.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 60.0
WIDTHS = {"file": 36, "expected": 8, "verdict": 8, "right": 5, "rows": 10, "words": 5, "place": 29, "seconds": 7, "MB": 3}  # fmt: skip
_ALLOWED = re.compile(r"\b(accept|warn|ask|reject)\b(?=.*\bacceptable\b)")


@dataclass(frozen=True)
class Outcome:
    """What a process said of a file.

    Attributes:
        verdict: The verdict, or `crash` or `hang`.
    """

    verdict: str
    seconds: float = 0.0
    peak_kilobytes: int = 0
    rows: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    said: str = ""


def inspect_here(path: Path | None) -> None:
    """Inspect a file in this process, or none, and print the outcome as JSON."""
    # Here only: a process inherits the peak of the one that starts it, so that one has to stay small.
    import pyarrow.parquet  # noqa: PLC0415

    from engine.data.inspection import inspect_file  # noqa: PLC0415

    pyarrow.array([""])  # the first list that pyarrow takes makes it import pandas, which is no affair of the file
    answer: dict[str, Any] = {"verdict": ""}
    if path is not None:
        with tempfile.TemporaryDirectory() as data_directory:
            began = time.perf_counter()
            inspection = inspect_file(path, Path(data_directory))
            answer = {
                "verdict": inspection.verdict.value,
                "seconds": time.perf_counter() - began,
                "rows": inspection.rows,
                "problems": [problem.to_json() for problem in inspection.problems],
                "said": "\n".join([inspection.message, *(problem.message for problem in inspection.problems)]),
            }
    print(json.dumps({**answer, "peak_kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def inspect_apart(path: Path | None, timeout_seconds: float) -> Outcome:
    """Inspect a file in a process of its own."""
    command = [sys.executable, __file__, "--here", *([str(path)] if path else [])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_seconds)
        return Outcome(**json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return Outcome("hang", seconds=timeout_seconds)
    except ValueError:
        return Outcome("crash", said=f"ended with {done.returncode}: {done.stderr}")


@dataclass(frozen=True)
class Row:
    """A file of the manifest, what is expected of it, and what came of it."""

    entry: dict[str, Any]
    expected: dict[str, Any]
    outcome: Outcome

    @property
    def right(self) -> str:
        """Whether the verdict is right: `yes`, `1 row` (see below), `note` (only the note allows it) or `no`.

        A single row is a warning here by contract, since none can be held out; a manifest may call it `accept`.
        """
        wanted, got = self.expected["verdict"], self.outcome.verdict
        if got == wanted:
            return "yes"
        warnings = {problem["kind"] for problem in self.outcome.problems if problem["severity"] == "warning"}
        if (wanted, got) == ("accept", "warn") and warnings == {"one_row"}:
            return "1 row"
        return "note" if got in _ALLOWED.findall(self.entry.get("note", "")) else "no"

    @property
    def rows_fit(self) -> bool | None:
        """Whether as many rows were read as expected; None where nothing is expected."""
        if "rows" not in self.expected or self.outcome.verdict in {"reject", "crash", "hang"}:
            return None
        return bool(self.outcome.rows == self.expected["rows"])

    @property
    def words_found(self) -> bool | None:
        """Whether the messages hold every word; None where none is expected, or the verdict is another."""
        words = self.expected.get("message_has", [])
        return all(word in self.outcome.said for word in words) if words and self.right != "note" else None

    @property
    def place_named(self) -> bool | None:
        """Whether one problem names the line and the column; None where there is none to name."""
        place = {key: self.expected[key] for key in ("line", "column") if key in self.expected}
        if not place or self.right == "note":
            return None
        return any(all(problem[key] == value for key, value in place.items()) for problem in self.outcome.problems)

    def cells(self, idle_kilobytes: int) -> Iterator[str]:
        """The cells of the printed table."""
        yield from (self.entry["file"], self.expected["verdict"], self.outcome.verdict, self.right)
        yield f"{self.outcome.rows}" + (f" not {self.expected['rows']}" if self.rows_fit is False else "")
        yield _mark(self.words_found)
        place = ", ".join(f"{key} {self.expected[key]}" for key in ("line", "column") if key in self.expected)
        yield f"{_mark(self.place_named)} {place}".strip()
        yield f"{self.outcome.seconds:.2f}"
        yield f"{megabytes_above(self.outcome, idle_kilobytes):.0f}"


def _mark(fits: bool | None) -> str:
    return {True: "yes", False: "NO", None: ""}[fits]


def megabytes_above(outcome: Outcome, idle_kilobytes: int) -> float:
    """How much more memory a process used at most than one that inspects nothing."""
    return max(0, outcome.peak_kilobytes - idle_kilobytes) / 1024


def print_cells(cells: Iterable[str]) -> None:
    """Print one line of the table."""
    print("  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS.values(), strict=True)).rstrip(), flush=True)


def print_totals(rows: list[Row], idle_kilobytes: int) -> None:
    """Close the table with its sums, after a few lines for each verdict that differs."""
    for row in (row for row in rows if row.right in {"note", "no"}):
        print(f"\n{row.entry['file']}: {row.entry['special']}; note: {row.entry.get('note', 'none')}")
        print(f"  expected {row.expected['verdict']}, got {row.outcome.verdict}: {row.outcome.said.strip()[-400:]}")
    slowest = max(rows, key=lambda row: row.outcome.seconds)
    largest = max(rows, key=lambda row: row.outcome.peak_kilobytes)
    verdicts = [row.outcome.verdict for row in rows]
    strictly, kindly = sum(row.right in {"yes", "1 row"} for row in rows), sum(row.right != "no" for row in rows)
    print(f"\nright verdicts {strictly}/{len(rows)}; with those that only a note allows {kindly}/{len(rows)}")
    for title, marks in (
        ("rows", [row.rows_fit for row in rows]),
        ("words", [row.words_found for row in rows]),
        ("places named", [row.place_named for row in rows]),
    ):
        print(f"{title} {marks.count(True)}/{len(marks) - marks.count(None)}")
    print(f"slowest {slowest.outcome.seconds:.2f} s ({slowest.entry['file']})")
    print(f"most memory {megabytes_above(largest.outcome, idle_kilobytes):.0f} MB ({largest.entry['file']})")
    traces = sum("Traceback" in row.outcome.said for row in rows)
    print(f"crashes {verdicts.count('crash')}, hangs {verdicts.count('hang')}, traces {traces}")


def main() -> int:
    """Inspect every file of the manifest; 0 when every verdict is right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, help="seconds for each file")
    parser.add_argument("--here", action="store_true", help="inspect one file (or none) in this process")
    arguments = parser.parse_args()
    if arguments.here:
        inspect_here(arguments.folder)
        return 0
    if arguments.folder is None:
        parser.error("say which folder: one with a manifest.json in it (make corpus CORPUS=folder)")
    entries = json.loads((arguments.folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    idle_kilobytes = inspect_apart(None, arguments.timeout).peak_kilobytes
    print_cells(WIDTHS)
    rows = []
    for entry in entries:
        rows.append(Row(entry, entry["expect"], inspect_apart(arguments.folder / entry["file"], arguments.timeout)))
        print_cells(rows[-1].cells(idle_kilobytes))
    print_totals(rows, idle_kilobytes)
    return 0 if all(row.right != "no" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
