"""Claims about the general texts: rebuilt to the same bytes, each family the same, no question twice."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ASSETS = Path(__file__).parents[2] / "assets"
FILE = ASSETS / "general" / "general.jsonl"
ROWS = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def test_every_family_has_about_the_same_number_and_no_question_stands_twice() -> None:
    counts = Counter(row["family"] for row in ROWS)
    assert len(counts) == 16 and max(counts.values()) - min(counts.values()) <= 8
    whole = [json.dumps(row["messages"][:-1]) for row in ROWS]
    assert len(set(whole)) == len(whole)


def test_the_builder_writes_the_same_bytes_again(tmp_path: Path) -> None:
    for folder in ("general", "starter/world", "examples"):
        shutil.copytree(ASSETS / folder, tmp_path / folder)
    (tmp_path / "general" / "general.jsonl").unlink()
    subprocess.run([sys.executable, str(tmp_path / "general" / "build.py")], check=True, timeout=120)
    assert (tmp_path / "general" / "general.jsonl").read_bytes() == FILE.read_bytes()
