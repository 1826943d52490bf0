"""Look at a million chat rows (about 500 MB) and print what each step cost: first page, inspection, pages, filter, search.

    .venv/bin/python benchmarks/scale.py [--rows 1000000] [--file million.jsonl] [--keep-workspace FOLDER]

The rows are made here from a seed, in words of their own; 1 in 100 repeats an earlier one. Every figure comes from a child
process of its own, so that nothing is warm by accident. DuckDB reads the same file in turn with us, three times each, and
answers the same questions (rows, exact duplicates) with two threads; without it (it is in the dev extra) the ratio is left out.
Memory is the peak of the child above what it held when everything was imported.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet  # noqa: F401  (loaded before anything is measured, as in a window that has opened a file)

from engine.data.checks import CheckedRows
from engine.data.dataset import RowsView, read_page, search_rows
from engine.data.inspection import Progress, inspect_file, load_inspection
from engine.data.intake import Batch, Cancelled, Intake
from engine.data.preview import preview_file
from engine.data.problems import ProblemLog
from engine.data.readers import read_file
from engine.data.shapes import convert, recognise
from engine.data.tallies import DuplicateTally
from engine.types import Dataset

RARE_WORD = "quibblefish"
TIMES = 3
_SYLLABLES = "ka to mi ren sul ver do pa lin gro sta fe no bi cur tel ha mon si lu".split()  # noqa: SIM905
Figures = dict[str, float]


def sentences(random_: random.Random, count: int) -> list[str]:
    """Return sentences of made-up words, with numbers, colons and quotation marks as real ones have."""
    words = ["".join(random_.choices(_SYLLABLES, k=random_.randint(1, 3))) for _ in range(4_000)]
    made = []
    for _ in range(count):
        chosen = random_.choices(words, k=random_.randint(6, 16))
        if random_.random() < 0.2:
            chosen[random_.randrange(len(chosen))] = str(random_.randrange(10_000))
        if random_.random() < 0.1:
            chosen[0] = random_.choice(["Note:", '"' + chosen[0] + '",', "café", "–"])
        made.append(" ".join(chosen).capitalize() + random_.choice([".", ".", ".", "?", "!"]))
    return made


def rows_of_text(rows: int, seed: int = 0) -> Iterator[str]:
    """Yield JSON lines: two turns of several sentences, 1 row in 100 an earlier one again, the rare word 3 times."""
    random_ = random.Random(seed)
    pool = sentences(random_, 20_000)
    kept: list[str] = []
    rare = {rows // 7, rows // 2, rows - 1}
    for number in range(rows):
        if kept and random_.random() < 0.01 and number not in rare:
            yield random_.choice(kept)
            continue
        asked, told = random_.choices(pool, k=random_.randint(1, 2)), random_.choices(pool, k=random_.randint(2, 8))
        told += [RARE_WORD] if number in rare else []
        turns = [("user", " ".join(asked)), ("assistant", " ".join(told))]
        line = json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}, ensure_ascii=False)
        if len(kept) < 1_000:
            kept.append(line)
        yield line


def write_rows(path: Path, rows: int) -> None:
    """Write the file."""
    with path.open("w", encoding="utf-8") as stream:
        for line in rows_of_text(rows):
            stream.write(line + "\n")


def first_page(path: Path, _workspace: Path) -> Figures:
    """Seconds until the first 50 rows of the file can be shown."""
    started = time.perf_counter()
    preview = preview_file(path)
    return {"seconds": time.perf_counter() - started, "rows": len(preview.rows), "read MB": preview.read_bytes / 1e6}


def counted(path: Path, _workspace: Path) -> Figures:
    """CPU seconds of parsing, recognising the shape, counting rows and finding exact duplicates."""
    tally, log, used = DuplicateTally(), ProblemLog(), 0
    shape = None

    def take(batch: Batch) -> None:
        nonlocal shape, used
        shape = shape or recognise(tuple(batch.rows[0]), batch.rows[:50])
        assert shape is not None
        canonical = convert(batch, *shape, log)
        tally.look(CheckedRows(shape[0].dataset_type, canonical.rows, batch, canonical.places, used, shape[1]))
        used += len(canonical.rows)

    started = time.process_time()
    intake = Intake(path.name, take)
    read_file(path, intake)
    rows = intake.finished().rows
    return {"cpu": time.process_time() - started, "rows": rows, "duplicates": sum(tally.repeats)}


def counted_by_duckdb(path: Path, _workspace: Path) -> Figures:
    """CPU seconds of the same questions, asked of DuckDB."""
    import duckdb  # noqa: PLC0415  (an optional yardstick)

    connection = duckdb.connect(config={"threads": 2})
    connection.execute("set enable_progress_bar = false")
    source = f"read_json('{path}', format='newline_delimited')"
    started = time.process_time()
    answer = connection.execute(f"select count(*), count(distinct messages) from {source}").fetchall()
    return {"cpu": time.process_time() - started, "rows": answer[0][0], "duplicates": answer[0][0] - answer[0][1]}


def inspected(path: Path, workspace: Path) -> Figures:
    """Seconds, CPU seconds and peak memory of the whole inspection; the clean copy stays in the workspace."""
    shares: list[float] = []
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.perf_counter(), time.process_time()
    inspection = inspect_file(path, workspace, watch=lambda progress: shares.append(progress.share))
    figures = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    assert inspection.dataset is not None, inspection.message
    (workspace / "fingerprint").write_text(inspection.dataset.fingerprint)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**figures, "peak MB above idle": (peak - idle) / 1024, "progress reports": len(shares)}


def cancelled(path: Path, workspace: Path) -> Figures:
    """Seconds from the word "stop", said in the middle of the file, until nothing is left of the inspection."""
    said: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.share > 0.05:
            said.append(time.perf_counter())
            raise Cancelled

    try:
        inspect_file(path, workspace, watch=watch)
    except Cancelled:
        left = len(list(workspace.glob(".making-*")))
        return {"seconds": time.perf_counter() - said[0], "folders left": left}
    raise AssertionError("nobody was asked")


def middle_page(_path: Path, workspace: Path) -> Figures:
    """Seconds of a page from the middle, and before that of the very first page, which loads libraries."""
    dataset, started = _dataset(workspace), time.perf_counter()
    read_page(dataset)
    between = time.perf_counter()
    read_page(dataset, offset=dataset.rows // 2)
    return {"seconds": time.perf_counter() - between, "page 1 of a new process": between - started}


def filtered(_path: Path, workspace: Path) -> Figures:
    """Seconds of the first 50 rows that are neither short nor long and repeat an earlier one, and of another filter."""
    dataset = _dataset(workspace)
    read_page(dataset)  # what stands on the screen before anybody filters
    started = time.perf_counter()
    page = read_page(dataset, RowsView(column="messages", low=300, high=600, repeats=True))
    between = time.perf_counter()
    read_page(dataset, RowsView(column="messages", low=700, high=800))
    return {"seconds": between - started, "second filter": time.perf_counter() - between, "found": page.total}


def searched(_path: Path, workspace: Path) -> Figures:
    """Seconds of a search for a rare word through all texts, and until the first sign of progress."""
    dataset = _dataset(workspace)
    started = time.perf_counter()
    reports = [(time.perf_counter() - started, progress.found) for progress in search_rows(dataset, RARE_WORD)]
    seconds, found = reports[-1]
    return {"seconds": seconds, "first report": reports[0][0], "reports": len(reports), "found": found}


def _dataset(workspace: Path) -> Dataset:
    dataset = load_inspection((workspace / "fingerprint").read_text(), workspace).dataset
    assert dataset is not None
    return dataset


STEPS: dict[str, Callable[[Path, Path], Figures]] = {
    step.__name__: step
    for step in (first_page, counted, counted_by_duckdb, inspected, cancelled, middle_page, filtered, searched)
}


def in_child(step: Callable[[Path, Path], Figures], path: Path, workspace: Path) -> Figures:
    """Run a step in a process of its own."""
    files = ["--file", str(path), "--keep-workspace", str(workspace)]
    command = [sys.executable, __file__, "--step", step.__name__, *files]
    figures: Figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return figures


def say(name: str, figures: Figures) -> None:
    """Print one line."""
    numbers = ", ".join(f"{key} {round(value, 3):,}" for key, value in figures.items())
    print(f"{name:26} {numbers}", flush=True)


def compare(path: Path, workspace: Path) -> None:
    """Measure us and DuckDB in turn, and print medians and their ratio."""
    steps = [counted] + [counted_by_duckdb] * (importlib.util.find_spec("duckdb") is not None)
    runs = [[in_child(step, path, workspace) for step in steps] for _ in range(TIMES)]
    medians = [statistics.median(run[side]["cpu"] for run in runs) for side in range(len(steps))]
    for side, step in enumerate(steps):
        say(step.__name__.replace("_", " "), {**runs[0][side], "cpu": medians[side]})
    if len(steps) == 2:
        say("ratio of CPU", {"ours / DuckDB": medians[0] / medians[1]})
    else:
        print("DuckDB is not installed, so there is nothing to compare with: pip install -e '.[dev]'")


def main() -> None:
    """Measure everything, or one step when this is a child."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--file", type=Path, help="where the rows are, or are written when they are not there yet")
    parser.add_argument("--keep-workspace", type=Path, help="where the clean copy stays; else it goes at the end")
    parser.add_argument("--step", choices=STEPS, help="what a child process measures")
    chosen = parser.parse_args()
    if chosen.step:
        print(json.dumps(STEPS[chosen.step](chosen.file, chosen.keep_workspace)))
        return
    with tempfile.TemporaryDirectory(prefix="luthier-scale-") as folder:
        path, workspace = chosen.file or Path(folder) / "rows.jsonl", chosen.keep_workspace or Path(folder) / "data"
        if not path.is_file():
            write_rows(path, chosen.rows)
        print(f"{path.name}: {path.stat().st_size / 1e6:,.0f} MB")
        say("first page", in_child(first_page, path, workspace))
        compare(path, workspace)
        for step in (inspected, cancelled, middle_page, filtered, searched):
            say(step.__name__.replace("_", " "), in_child(step, path, workspace))


if __name__ == "__main__":
    main()
