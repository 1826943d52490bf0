"""A dataset of the Hugging Face hub, by its id: fetched into a folder that then holds one file, which the readers take.

Knows the form of the id and the folder. Which files are the data is said by `hub_choice.py`, shards are put together by
`shards.py`, and fetching and checking is `hub_files.py`'s affair. What is in the rows is not looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.data.hub_choice import Choice, choose_data
from engine.data.shards import JOINERS
from engine.errors import DataError
from engine.hub_files import DownloadProgress, HubFile, Order, Wanted, download
from engine.hub_ids import RepositoryKind, repository_folder

DATASETS = RepositoryKind(
    noun="dataset",
    error=DataError,
    example="HuggingFaceH4/no_robots",
    without_hub="open a file of your own or an example",
)

_PART = re.compile(r"\w(?:[\w.-]{0,94}\w)?")
_MOST_PARTS = 2  # a configuration and a split
_MAXIMUM_FOLDER_BYTES = 200  # file systems stop at 255, and the unfinished folder needs some of them


@dataclass(frozen=True)
class _Id:
    repository: str
    parts: tuple[str, ...]


def download_dataset(
    hub_id: str, directory: Path, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[DownloadProgress]:
    """Fetch the train split of a dataset; cancelling, or dropping the iterator, leaves nothing behind.

    Args:
        hub_id: Organisation and name, as on the dataset's page; where it has several configurations, followed by a colon
            and the name of one: `openai/gsm8k:main`.
        directory: Where datasets of the hub are kept; made when missing.
        cancelled: Asked between pieces of a file; the iterator ends early when it says yes.

    Yields:
        Progress, a few times a second; the last has `finished`, unless it was cancelled.

    Raises:
        DataError: No connection, no such dataset, no permission, no room, too large, or no data file that is read.
    """
    asked, target, choices = _parsed(hub_id), _folder(hub_id, directory), list[Choice]()

    def choose(files: Sequence[HubFile]) -> list[Wanted]:
        choice = choose_data(asked.repository, asked.parts, files)
        choices.append(choice)
        return [Wanted(file, _local_name(choice, number)) for number, file in enumerate(choice.files)]

    def finish(folder: Path) -> Iterator[str]:
        choice = choices[-1]
        if len(choice.files) > 1:
            pieces = [folder / _local_name(choice, number) for number in range(len(choice.files))]
            yield from JOINERS[choice.ending](pieces, folder / choice.name)

    yield from download(Order(asked.repository, DATASETS, target, choose, finish, cancelled))


def dataset_file(hub_id: str, directory: Path) -> Path:
    """Return the file that was fetched for this id.

    Raises:
        DataError: When it was not fetched yet, or the text is no id.
    """
    folder = _folder(hub_id, directory)
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    if not files:
        raise DataError(f"the dataset {hub_id} is not on this disk", next_step=f"Download {hub_id} first.")
    return files[0]


def _local_name(choice: Choice, number: int) -> str:
    return choice.name if len(choice.files) == 1 else f"{number:06}.part"


def _parsed(hub_id: str) -> _Id:
    repository, *parts = hub_id.split(":")
    if len(parts) > _MOST_PARTS or not all(_PART.fullmatch(part) and "--" not in part for part in parts):
        raise DataError(
            "this does not name a configuration of a dataset on the hub",
            found=repr(hub_id[:120]),
            expected="organisation/name:configuration, such as openai/gsm8k:main",
            next_step="Copy the name of the configuration from the dataset's page.",
        )
    return _Id(repository, tuple(parts))


def _folder(hub_id: str, directory: Path) -> Path:
    asked = _parsed(hub_id)
    folder = repository_folder(asked.repository, directory, DATASETS)
    folder = folder.with_name("--".join([folder.name, *asked.parts]))
    if len(folder.name.encode()) > _MAXIMUM_FOLDER_BYTES:
        raise DataError("this id is too long", found=repr(hub_id[:120]), expected=f"{_MAXIMUM_FOLDER_BYTES} bytes")
    return folder
