"""The imitation of the hub, for whoever fetches something from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from huggingface_hub import constants

from tests.engine.hub_imitation import Hub, serving


@pytest.fixture
def serve_hub(monkeypatch) -> Iterator[Callable[[str, dict[str, bytes]], type[Hub]]]:
    """Serve files as the repository org/tiny of the hub's models or datasets; answers what serves them."""
    with ExitStack() as stack:

        def serve(noun: str, files: dict[str, bytes]) -> type[Hub]:
            handler = type("Handler", (Hub,), {"noun": noun, "files": files})
            endpoint = stack.enter_context(serving(handler))
            template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
            monkeypatch.setattr(constants, "ENDPOINT", endpoint)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
            return handler

        yield serve


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
