"""What people preferred, written as datasets: votes as pairs for DPO and its kin, thumbs as single answers for KTO.

Written as TRL reads them. Only what says which answer is better is a row; what is left out is counted. Of several votes on one
pair, the majority is written.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.data.conversions import Message
from engine.errors import UsageError
from engine.results.ballots import Favours, Pair, Vote, majority

SPLIT, EMPTY = "split", "empty"


@dataclass(frozen=True)
class Thumb:
    """What a person thinks of an answer.

    Attributes:
        messages: The conversation, the question last.
        good: Up or down.
        run: The run that answered; empty for a model that is no run's.
        speaker: What the one who answered is called.
        created: Seconds since the epoch.
    """

    messages: tuple[Message, ...]
    answer: str
    good: bool
    run: str
    speaker: str
    created: float

    @property
    def key(self) -> str:
        """What tells answers apart: equal ones to equal conversations are one."""
        return json.dumps([self.messages, self.answer], sort_keys=True)


@dataclass(frozen=True)
class Exported:
    """A dataset that was written.

    Attributes:
        path: The file, absolute; the Data tab opens it.
        rows: How many it holds.
        ties: Pairs left out because most said that both are alike.
        both_bad: Pairs left out because most said that both are bad.
        split: Pairs left out because voters did not agree on one thing.
        empty: What was left out because an answer holds nothing.
        same: Pairs that nobody could vote on, their answers being the same.
    """

    path: Path
    rows: int
    ties: int = 0
    both_bad: int = 0
    split: int = 0
    empty: int = 0
    same: int = 0


def export_votes(pairs: Sequence[Pair], votes: Sequence[Vote], directory: Path, *, same: int = 0) -> Exported:
    """Write what was preferred, one row a pair.

    Args:
        pairs: What was voted on.
        votes: Those that stand.
        directory: Where the file is written; it need not exist.
        same: Pairs that were left out before.

    Raises:
        UsageError: When no pair has a preferred side.
    """
    by_pair: dict[int, list[Vote]] = {}
    for vote in votes:
        by_pair.setdefault(vote.number, []).append(vote)
    rows: list[tuple[Sequence[Message], str, str]] = []
    left_out: Counter[str] = Counter()
    for pair in pairs:
        said = majority(by_pair[pair.number]) if pair.number in by_pair else None
        if said in {Favours.ONE, Favours.OTHER} and not (pair.one.strip() and pair.other.strip()):
            left_out[EMPTY] += 1
        elif said is Favours.ONE:
            rows.append((pair.messages, pair.one, pair.other))
        elif said is Favours.OTHER:
            rows.append((pair.messages, pair.other, pair.one))
        elif pair.number in by_pair:
            left_out[said or SPLIT] += 1
    if not rows:
        raise UsageError("no vote prefers one answer", found=f"{len(votes)} votes", next_step="Vote on more pairs.")
    plain = all(map(_is_one_question, (turns for turns, _, _ in rows)))
    path = _written(
        [{"prompt": _prompt(turns, plain), "chosen": _answer(better, plain), "rejected": _answer(worse, plain)} for turns, better, worse in rows],
        directory, "votes",
    )  # fmt: skip
    return Exported(
        path, len(rows), left_out[Favours.TIE], left_out[Favours.BOTH_BAD], left_out[SPLIT], left_out[EMPTY], same
    )


def export_thumbs(thumbs: Sequence[Thumb], directory: Path) -> Exported:
    """Write answers with whether they are good, one row a thumb.

    Raises:
        UsageError: When there are none.
    """
    kept = [thumb for thumb in thumbs if thumb.answer.strip()]
    if not kept:
        raise UsageError("there are no thumbs", next_step="Give answers in chat a thumb up or down.")
    plain = all(_is_one_question(thumb.messages) for thumb in kept)
    rows = [
        {
            "prompt": _prompt(thumb.messages, plain),
            "completion": _answer(thumb.answer, plain),
            "label": thumb.good,
        }
        for thumb in kept
    ]
    return Exported(_written(rows, directory, "thumbs"), len(kept), empty=len(thumbs) - len(kept))


def _is_one_question(messages: Sequence[Message]) -> bool:
    return len(messages) == 1 and messages[0]["role"] == "user"


def _prompt(messages: Sequence[Message], plain: bool) -> object:
    return messages[0]["content"] if plain else [dict(turn) for turn in messages]


def _answer(text: str, plain: bool) -> object:
    return text if plain else [{"role": "assistant", "content": text}]


def _written(rows: Sequence[Mapping[str, object]], directory: Path, name: str) -> Path:
    """Write rows as JSON Lines, whole or not at all, in a file of its own."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory.absolute() / f"{name}-{uuid.uuid4().hex[:8]}.jsonl"
    temporary = path.with_name(f"tmp.{path.name}")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    return path
