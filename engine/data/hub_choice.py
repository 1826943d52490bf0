"""Which of a hub repository's files are the rows to learn from: the train split, in the kind that is read best.

Goes by names alone: endings, split words, the folders of configurations, the numbers of shards. Nothing that could run is
ever chosen. What cannot be decided is asked back, as an id that says more (`owner/name:configuration`). Fetches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from engine.data.readers import READERS
from engine.data.shards import JOINERS
from engine.errors import DataError
from engine.hub_files import HubFile

MAXIMUM_DOWNLOAD_BYTES = 4 * 1024**3  # far more rows than one machine learns from, and still an evening's download

PREFERENCE = (
    ".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".arrow", ".feather", ".ipc", ".xlsx", ".xlsm",
    ".txt", ".text", ".md", ".markdown",
)  # fmt: skip
"""Every ending that is read, the one that says most about its columns first."""

_NO_DATA = re.compile(
    r"(readme|licen[cs]e|requirements|metadata|dataset_infos?|dataset_dict|dataset_card|tokenizer)([-_.].*)?"
    r"|copying|notice|citation|changelog|contributing|authors|code_of_conduct|croissant|state|index|config|package",
    re.IGNORECASE,
)
_TRAIN_WORDS = frozenset({"train", "training"})
_OTHER_SPLIT_WORDS = frozenset({"test", "testing", "validation", "valid", "val", "dev", "eval", "evaluation"})
_FOLDERS_WITHOUT_MEANING = frozenset({"data", "dataset", "default", *(suffix[1:] for suffix in PREFERENCE)})
_SHARD = re.compile(r"(.*?)[-_.]?\d+[-_]of[-_]\d+(?:-[0-9a-f]{8,})?")  # train-00000-of-00003, or with a hash behind it
_NUMBERED = re.compile(r"(part|shard|chunk|train|)[-_.]?\d{3,}", re.IGNORECASE)
_LISTED = 8


@dataclass(frozen=True)
class Choice:
    """The data of one split.

    Attributes:
        files: In the order of their rows; several are shards.
        name: What the one file that comes of them is called.
        ending: How that name ends.
    """

    files: tuple[HubFile, ...]
    name: str
    ending: str


@dataclass(frozen=True)
class _Candidate:
    file: HubFile
    configuration: str
    split: str
    ending: str
    is_piece: bool

    @property
    def rank(self) -> tuple[int, int, bool]:
        """How gladly it is taken; the least is best."""
        words = _words(self.split)
        if words & _TRAIN_WORDS:
            place = 0 if self.split.lower() in _TRAIN_WORDS else 1
        else:
            place = 3 if words & _OTHER_SPLIT_WORDS else 2
        return place, PREFERENCE.index(self.ending.removesuffix(".gz")), self.ending.endswith(".gz")

    @property
    def place(self) -> tuple[int, str, bool]:
        """Where it lies: pieces of one table lie together, and a table in one piece is no piece of another."""
        return self.file.name.count("/"), self.file.name.rpartition("/")[0], self.is_piece

    def goes_by(self, name: str) -> bool:
        return name in (sayable_part(self.configuration), sayable_part(self.split))


def choose_data(hub_id: str, asked: Sequence[str], files: Sequence[HubFile]) -> Choice:
    """Choose the files of one split.

    Args:
        hub_id: Organisation and name.
        asked: The configuration, or the split, or both, that a person named behind the id.
        files: All files of the repository.

    Raises:
        DataError: No data, several configurations or splits, or more than `MAXIMUM_DOWNLOAD_BYTES`.
    """
    candidates = [candidate for candidate in map(_candidate, files) if candidate]
    if not candidates:
        raise _nothing_to_read(hub_id, files)
    for part in asked:
        candidates = _named(hub_id, part, candidates)
    configurations = _distinct([candidate.configuration for candidate in candidates])
    if len(configurations) > 1 and "" not in configurations:
        raise _undecided(":".join([hub_id, *asked]), "configurations", configurations)
    if len(configurations) > 1:  # what lies in no folder of its own is what the repository is about
        candidates = [candidate for candidate in candidates if not candidate.configuration]
    best = min(candidate.rank for candidate in candidates)
    chosen = [candidate for candidate in candidates if candidate.rank == best]
    splits = _distinct([candidate.split for candidate in chosen])
    if len(splits) > 1:
        raise _undecided(":".join([hub_id, *asked]), "splits or files", splits)
    nearest = min(candidate.place for candidate in chosen)
    return _checked(hub_id, [candidate for candidate in chosen if candidate.place == nearest])


def sayable_part(text: str) -> str:
    """Return the name of a configuration or split as it may stand behind an id."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")


def _candidate(file: HubFile) -> _Candidate | None:
    *folders, name = file.name.split("/")
    stem, ending = _stem_and_ending(name)
    if ending.removesuffix(".gz") not in READERS or _NO_DATA.fullmatch(stem) or any(f.startswith(".") for f in folders):
        return None
    of_split = [folder for folder in folders if _words(folder) & (_TRAIN_WORDS | _OTHER_SPLIT_WORDS)]
    of_configuration = [
        folder for folder in folders if folder not in of_split and folder.lower() not in _FOLDERS_WITHOUT_MEANING
    ]
    split = of_split[-1] if of_split else _without_number(stem)
    is_piece = bool(of_split) or split != stem
    return _Candidate(file, "/".join(of_configuration), split, ending, is_piece)


def _stem_and_ending(name: str) -> tuple[str, str]:
    path = PurePosixPath(name)
    packed = ".gz" if path.suffix.lower() == ".gz" else ""
    path = PurePosixPath(path.stem) if packed else path
    return path.stem, path.suffix.lower() + packed


def _without_number(stem: str) -> str:
    found = _SHARD.fullmatch(stem) or _NUMBERED.fullmatch(stem)
    return found.group(1) or "data" if found else stem


def _words(text: str) -> frozenset[str]:
    return frozenset(re.split(r"[^a-z]+", text.lower()))


def _distinct(names: Sequence[str]) -> list[str]:
    return sorted(set(names))


def _named(hub_id: str, part: str, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    found = [candidate for candidate in candidates if candidate.goes_by(part)]
    if not found:
        names = [candidate.configuration for candidate in candidates] + [candidate.split for candidate in candidates]
        raise DataError(
            f"{hub_id} has no configuration or split called {part!r}",
            expected=f"one of {_listed(_distinct([sayable_part(name) for name in names if name]))}",
            next_step="Check the spelling on the dataset's page.",
        )
    return found


def _undecided(asked_id: str, what: str, names: Sequence[str]) -> DataError:
    sayable = [sayable_part(name) for name in names]
    return DataError(
        f"{asked_id} has several {what}",
        found=_listed(sayable),
        next_step=f"Say which one behind the id, such as {asked_id}:{sayable[0]}.",
    )


def _nothing_to_read(hub_id: str, files: Sequence[HubFile]) -> DataError:
    found = _listed(sorted(file.name for file in files)) if files else "no files"
    if any(file.name.endswith(".py") for file in files):
        return DataError(
            f"{hub_id} has no data files, only a script that would make them",
            found=found,
            expected="Parquet, JSON Lines, JSON, CSV or text; a script of others is never run",
            next_step="Look for a copy of the dataset that holds its rows as Parquet or JSON Lines.",
        )
    return DataError(
        f"{hub_id} has no data files that can be read",
        found=found,
        expected="Parquet, JSON Lines, JSON, CSV or text",
        next_step="Choose another dataset.",
    )


def _checked(hub_id: str, chosen: Sequence[_Candidate]) -> Choice:
    files = tuple(sorted((candidate.file for candidate in chosen), key=lambda file: _by_number(file.name)))
    first = chosen[0]
    if len(files) > 1 and first.ending not in JOINERS:
        raise DataError(
            f"the rows of {hub_id} lie in {len(files):,} files of a kind that is not put together",
            found=_listed([file.name for file in files]),
            expected="one file, or several in Parquet or JSON Lines",
            next_step="Download one of the files yourself and open it here.",
        )
    total = sum(file.size for file in files)
    if total > MAXIMUM_DOWNLOAD_BYTES:
        raise DataError(
            f"the data of {hub_id} is too large to fetch",
            found=f"{total / 1024**3:.1f} GB",
            expected=f"at most {MAXIMUM_DOWNLOAD_BYTES / 1024**3:.0f} GB",
            next_step="Choose a smaller dataset or configuration, or download one of its files yourself and open it here.",
        )
    name = sayable_part(first.split)[:60].strip("-.") or "data"
    return Choice(files, f"{name}{first.ending}", first.ending)


def _by_number(name: str) -> list[tuple[int, str]]:
    """Sort as people count: part-2 before part-10."""
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in re.split(r"([0-9]+)", name)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(name[:80] for name in names[:_LISTED]) + more
