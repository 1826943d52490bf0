"""How what lies on the Hugging Face hub is called, and the folder that its files are kept in.

Quick, and touches no network: whoever only wants to know whether a text could be an id must not wait for the network
library, which `hub_files.py` brings. A hub id is never a path, whatever the text is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import TuningError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class RepositoryKind:
    """What a repository of the hub holds, as sentences say it.

    Attributes:
        noun: `model` or `dataset`; also what the hub's own library calls it.
        error: What is raised when it cannot be had.
        example: An id that exists.
        without_hub: What can be done where there is no connection.
    """

    noun: str
    error: type[TuningError]
    example: str
    without_hub: str


def is_hub_id(text: str) -> bool:
    """Tell whether a text has the form of a hub id, `organisation/name`.

    Source: huggingface_hub, utils/_validators.py, `validate_repo_id`.
    """
    return (
        bool(HUB_ID.fullmatch(text)) and "--" not in text and ".." not in text and not text.endswith((".git", ".", "-"))
    )


def check_repository_id(text: str, kind: RepositoryKind) -> str:
    """Return a hub id that may become part of a path.

    Raises:
        TuningError: The kind's own, when the text is no hub id.
    """
    if not is_hub_id(text):
        raise kind.error(
            f"this is not the id of a {kind.noun} on the hub",
            found=repr(text[:120]),
            expected=f"organisation/name, such as {kind.example}",
            next_step=f"Copy the id from the top of the {kind.noun}'s page.",
        )
    return text


def repository_folder(hub_id: str, directory: Path, kind: RepositoryKind) -> Path:
    """Say where the files of a repository are kept.

    Raises:
        TuningError: The kind's own, when the text is no hub id.
    """
    return directory / check_repository_id(hub_id, kind).replace("/", "--")
