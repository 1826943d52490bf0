"""Write the general set: short conversations of the starter's language that no lesson teaches, to see what a tuning forgets.

Run as ``python assets/general/build.py``; ``make general`` does. One seed writes the same bytes each time. The families of the
starter's world that the bundled examples draw from are left out, the phrasings are those that the starter never saw, and a
question that stands in any bundled example is passed over.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
if str(HERE.parent / "starter") not in sys.path:
    sys.path.insert(0, str(HERE.parent / "starter"))

from world import held_out_rows  # noqa: E402  # found through the lines above

FAMILIES = (
    "kinds", "instructions", "weather", "word_forms", "sums", "lists", "one_of", "reading", "names", "repeating", "edits",
    "summaries", "rewriting", "stories", "self", "outside",
)  # fmt: skip
"""Shop (of which the notes tell too), reviews, JSON, and what the lessons of manner ask about are taught by bundled examples; greetings hold few words."""

A_FAMILY, TEXTS, SEED = 18, 13, 2026


def taught_questions() -> set[str]:
    """Return every text of the bundled examples, among which a question is looked for."""
    files = sorted((HERE.parent / "examples").glob("*/*.jsonl"))
    return {
        text for file in files for line in file.read_text("utf-8").splitlines() for text in texts_of(json.loads(line))
    }


def texts_of(value: object) -> list[str]:
    """Return all texts of a row, at any depth."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in inner for text in texts_of(part)]


def general_rows() -> list[dict[str, object]]:
    """Draw the same number of conversations of each family, none twice."""
    taught, chosen = taught_questions(), []
    for family in FAMILIES:
        of_family: dict[str, dict[str, object]] = {}
        for row in held_out_rows(SEED, A_FAMILY):
            question = row.messages[-2]["content"]
            if row.family == family and question not in taught:
                of_family.setdefault(question, {"messages": list(row.messages), "family": family})
        chosen += list(of_family.values())[:TEXTS]
    return chosen


def main() -> None:
    """Write the file."""
    rows = general_rows()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (HERE / "general.jsonl").write_text(lines, encoding="utf-8")
    print(f"{len(rows)} conversations")


if __name__ == "__main__":
    main()
