"""The room for votes: blind polls on pairs of answers, thumbs from chat, and both as datasets to learn preferences from.

    polls/<id>/poll.json     title, seed, names of the sides
    polls/<id>/pairs.jsonl   the pairs
    polls/<id>/votes.jsonl   votes and what took them back, appended
    thumbs.jsonl             thumbs from chat, and what took them back, appended

Nothing that was said is ever rewritten; a poll can only be deleted whole. What a person sees before the end never holds the names of the sides.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from engine.data.conversions import Message
from engine.errors import UsageError
from engine.results.append_log import AppendLog
from engine.results.ballots import (
    Ballot,
    Favours,
    Pair,
    PollResult,
    Vote,
    VoteChoice,
    counted,
    favoured,
    is_swapped,
    voters_of,
)
from engine.results.vote_export import Exported, Thumb, export_thumbs, export_votes

MOST_NAME_CHARACTERS = 60


@dataclass(frozen=True)
class Poll:
    """A blind vote; whose the answers are is told by its result, at the end.

    Attributes:
        id: Its name in the workspace; never a path.
        pairs: How many there are to vote on.
        same: Pairs that were left out because both answers are the same.
        battery: The battery that the answers come from; empty for answers from chat.
    """

    id: str
    title: str
    pairs: int
    same: int
    seed: int
    created: float
    battery: str = ""


class Votes:
    """Votes of a workspace.

    Args:
        directory: Where they are kept; it need not exist.
        exports: The folder that datasets are written to; it need not exist.
    """

    def __init__(self, directory: Path, exports: Path) -> None:
        self._directory, self._exports = directory, exports
        self._thumbs = AppendLog(directory / "thumbs.jsonl")

    # --- polls ---------------------------------------------------------------------------------------------------

    def create(
        self,
        title: str,
        names: tuple[str, str],
        answers: Sequence[tuple[Sequence[Message], str, str]],
        *,
        battery: str = "",
        seed: int | None = None,
        most: int | None = None,
    ) -> Poll:
        """Make a poll.

        Args:
            title: What it is called; it should not tell whose the answers are.
            names: What the one side and the other are called at the end.
            answers: Conversations, the question last, each with the answers of both sides.
            battery: Where the answers come from.
            seed: Decides which side stands first; None draws one.
            most: The most pairs to vote on, counted without those whose answers are the same; None for all.

        Raises:
            UsageError: When no pair of different answers is left.
        """
        unlike = [found for found in answers if found[1].strip() != found[2].strip()]
        if not unlike:
            raise UsageError(
                "there is nothing to vote on", found=f"{len(answers)} pairs, all with the same answer twice" if answers else "no pairs",
                next_step="Choose two sides that answer differently.",
            )  # fmt: skip
        pairs = [Pair(number, tuple(turns), one, other) for number, (turns, one, other) in enumerate(unlike[:most])]
        drawn = secrets.randbits(48) if seed is None else seed
        poll = Poll(
            f"poll-{secrets.token_hex(4)}", title, len(pairs), len(answers) - len(unlike), drawn, time.time(), battery
        )
        folder = self._directory / "polls" / poll.id
        folder.mkdir(parents=True, mode=0o700)
        AppendLog(folder / "pairs.jsonl").append(asdict(pair) for pair in pairs)
        _write_whole(folder / "poll.json", {**asdict(poll), "names": list(names)})
        return poll

    def polls(self) -> list[Poll]:
        """Return all polls, newest first."""
        found = (_poll_in(path) for path in (self._directory / "polls").glob("*/poll.json"))
        return sorted((poll for poll, _ in filter(None, found)), key=lambda poll: -poll.created)

    def poll(self, poll: str) -> Poll:
        """Return a poll.

        Raises:
            UsageError: When there is none of that id.
        """
        return self._opened(poll)[0]

    def ballot(self, poll: str, voter: str) -> Ballot | None:
        """Return the next pair that a voter has not voted on; None when they are done.

        Raises:
            UsageError: When there is no such poll, or the voter has no name.
        """
        found, _ = self._opened(poll)
        name, pairs = _checked_name(voter), self._pairs(poll)
        done = {vote.number for vote in self._votes(poll) if vote.voter == name}
        following = next((pair for pair in pairs if pair.number not in done), None)
        if following is None:
            return None
        sides = (following.one, following.other)
        first, second = reversed(sides) if is_swapped(found.seed, name, following.number) else sides
        return Ballot(poll, name, following.number, following.messages, first, second, len(done), found.pairs)

    def vote(self, poll: str, voter: str, number: int, choice: VoteChoice) -> None:
        """Keep what a voter says of a pair; saying something else of it later replaces it.

        Args:
            poll: Its id.
            voter: Their name.
            number: Of the pair, as the ballot has it.
            choice: Of the sides as the ballot shows them.

        Raises:
            UsageError: When there is no such poll or pair, or the poll has ended.
        """
        found, name = self._open_poll(poll), _checked_name(voter)
        if not 0 <= number < found.pairs:
            raise UsageError("there is no such pair", found=str(number + 1), expected=f"1 to {found.pairs}")
        said = favoured(VoteChoice(choice), is_swapped(found.seed, name, number))
        self._log(poll).append([{"voter": name, "number": number, "favours": said.value, "time": time.time()}])

    def undo(self, poll: str, voter: str) -> bool:
        """Take the last vote of a voter back that still stands; False when there is none.

        Raises:
            UsageError: When there is no such poll, or it has ended.
        """
        self._open_poll(poll)
        name = _checked_name(voter)
        stands = any(vote.voter == name for vote in self._votes(poll))
        if stands:
            self._log(poll).append([{"voter": name, "undo": True, "time": time.time()}])
        return stands

    def end(self, poll: str) -> None:
        """End a poll: nobody votes any more, and the names are told."""
        self._opened(poll)
        self._log(poll).append([{"ended": True, "time": time.time()}])

    def delete(self, poll: str) -> None:
        """Remove a poll with its votes; datasets that were written from them stay.

        Raises:
            UsageError: When there is no such poll.
        """
        self._opened(poll)
        folder = self._directory / "polls" / poll
        (folder / "poll.json").unlink(missing_ok=True)  # first, so that whatever ends this leaves no half poll
        shutil.rmtree(folder, ignore_errors=True)

    def result(self, poll: str) -> PollResult:
        """Return the counts; the names only when the poll was ended, or everybody who began has voted on every pair.

        Raises:
            UsageError: When there is no such poll.
        """
        found, names = self._opened(poll)
        votes = self._votes(poll)
        done = [sum(vote.voter == voter for vote in votes) for voter in voters_of(votes)]
        over = self._has_ended(poll) or (bool(done) and min(done) == found.pairs)
        return counted(votes, found.pairs, names if over else None)

    def export(self, poll: str) -> Exported:
        """Write what was preferred as a dataset of pairs, which the Data tab opens; see `vote_export.py`.

        Raises:
            UsageError: When there is no such poll, or no vote prefers a side.
        """
        found, _ = self._opened(poll)
        return export_votes(self._pairs(poll), self._votes(poll), self._exports, same=found.same)

    # --- thumbs --------------------------------------------------------------------------------------------------

    def thumb(self, messages: Sequence[Message], answer: str, good: bool, *, run: str = "", speaker: str = "") -> None:
        """Keep what a person thinks of an answer in chat; thinking otherwise of it later replaces it.

        Args:
            messages: The conversation, the question last.
            answer: What was answered.
            good: Up or down.
            run: The run that answered; empty for a model that is no run's.
            speaker: What the one who answered is called.
        """
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        thumb = Thumb(tuple(dict(turn) for turn in messages), answer, good, run, speaker, time.time())
        self._thumbs.append([asdict(thumb)])

    def undo_thumb(self) -> bool:
        """Take the last thumb back that still stands; False when there is none."""
        stands = bool(self.thumbs())
        if stands:
            self._thumbs.append([{"undo": True}])
        return stands

    def thumbs(self) -> tuple[Thumb, ...]:
        """Return the thumbs that stand, the earliest first, at most one of an answer to a conversation."""
        said: list[Thumb] = []
        for row in self._thumbs.rows():
            if row.get("undo"):
                said = said[:-1]
            elif thumb := _thumb_from(row):
                said.append(thumb)
        return tuple({thumb.key: thumb for thumb in said}.values())

    def export_thumbs(self, run: str = "") -> Exported:
        """Write the thumbs, or those of one run, as a dataset of good and bad answers, which the Data tab opens.

        Raises:
            UsageError: When there are none.
        """
        thumbs = [thumb for thumb in self.thumbs() if not run or thumb.run == run]
        return export_thumbs(thumbs, self._exports)

    # --- on disk -------------------------------------------------------------------------------------------------

    def _opened(self, poll: str) -> tuple[Poll, tuple[str, str]]:
        polls = self._directory / "polls"
        known = {path.name for path in polls.iterdir()} if polls.is_dir() else set()
        found = _poll_in(polls / poll / "poll.json") if poll in known else None
        if found is None:
            raise UsageError("there is no such poll", found=poll[:60], next_step="Make one.")
        return found

    def _open_poll(self, poll: str) -> Poll:
        found, _ = self._opened(poll)
        if self._has_ended(poll):
            raise UsageError("this poll has ended", where=found.title, next_step="Make another one.")
        return found

    def _log(self, poll: str) -> AppendLog:
        return AppendLog(self._directory / "polls" / poll / "votes.jsonl")

    def _has_ended(self, poll: str) -> bool:
        return any(row.get("ended") for row in self._log(poll).rows())

    def _pairs(self, poll: str) -> tuple[Pair, ...]:
        rows = AppendLog(self._directory / "polls" / poll / "pairs.jsonl").rows()
        return tuple(Pair(**{**row, "messages": tuple(cast(Sequence[Message], row["messages"]))}) for row in rows)  # type: ignore[arg-type]

    def _votes(self, poll: str) -> list[Vote]:
        """Return the votes that stand, in the order in which they were first given."""
        said: dict[str, list[Vote]] = {}
        for row in self._log(poll).rows():
            own = said.setdefault(str(row.get("voter", "")), [])
            if row.get("undo"):
                del own[-1:]
            elif vote := _vote_from(row):
                own[:] = [*(earlier for earlier in own if earlier.number != vote.number), vote]
        return sorted((vote for own in said.values() for vote in own), key=lambda vote: vote.created)


def _checked_name(voter: str) -> str:
    name = " ".join(voter.split())
    if not name or len(name) > MOST_NAME_CHARACTERS:
        raise UsageError(
            "a voter needs a name", found=f"{len(name)} characters", expected=f"1 to {MOST_NAME_CHARACTERS}",
            next_step="Write a name, so that several people can vote on the same answers.",
        )  # fmt: skip
    return name


def _vote_from(row: Mapping[str, object]) -> Vote | None:
    try:
        return Vote(str(row["voter"]), int(str(row["number"])), Favours(str(row["favours"])), float(str(row["time"])))
    except (KeyError, ValueError):
        return None


def _thumb_from(row: Mapping[str, object]) -> Thumb | None:
    try:
        return Thumb(**{**row, "messages": tuple(cast(Sequence[Message], row["messages"]))})  # type: ignore[arg-type]
    except (KeyError, TypeError):
        return None


def _poll_in(path: Path) -> tuple[Poll, tuple[str, str]] | None:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        one, other = plain.pop("names")
        return Poll(**plain), (str(one), str(other))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write_whole(path: Path, plain: Mapping[str, object]) -> None:
    temporary = path.with_name(f"tmp.{uuid.uuid4().hex}")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(plain, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
