"""The program that opens the window: ports, addresses, and how soon it is there."""

from __future__ import annotations

import socket

import pytest

from app import listen
from engine.errors import UsageError


def test_a_taken_port_gives_the_next_free_one() -> None:
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        assert second.getsockname()[1] > first.getsockname()[1]


def test_an_asked_port_that_is_taken_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot be opened"):
            listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_listening_everywhere_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="every address"):
        listen(host, None)


@pytest.mark.parametrize("port", [-1, 70000])
def test_an_impossible_port_is_one_sentence(port: int) -> None:
    with pytest.raises(UsageError, match="cannot be opened"):
        listen("127.0.0.1", port)
