"""The panel of serving: what it shows while somebody is served and while nobody is, and that nothing named becomes markup or code."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Callable, Iterator, Mapping

import pytest

from engine.errors import UsageError
from engine.types import Run
from engine.workspace import Served, Workspace
from ui import serving_panel as panel
from ui import status_bar

EVIL = "<img src=x onerror=alert(1)>'\"; rm $(x)"
HOST = "127.0.0.1:7860"
SERVED = Served("run", "tuned", EVIL, EVIL, EVIL, f"http://{EVIL}")
START, STOP, STATE, *LINES = range(7)


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("short")


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    return workspace.runs()[0]


@pytest.fixture
def told(workspace: Workspace, run: Run) -> Iterator[list[Mapping[str, object]]]:
    """Give what the page is told when a start was pressed."""
    yield list(panel.started(workspace, HOST, run.id, "tuned"))  # type: ignore[arg-type]
    workspace.serving.stop()


def test_while_nothing_is_served_start_is_the_button_to_press_and_nothing_can_be_stopped(workspace: Workspace) -> None:
    told = list(panel.told(workspace))
    assert (told[START]["variant"], told[STOP]["interactive"]) == ("primary", False)
    assert "Nothing is served" in told[STATE] and not any(told[line]["visible"] for line in LINES)


def test_a_start_shows_address_key_and_both_ways_to_ask(workspace: Workspace, told: list[Mapping[str, object]]) -> None:
    served = workspace.serving.served
    assert served and (told[START]["variant"], told[STOP]["interactive"]) == ("secondary", True)
    address, key, curl, python = (str(told[line]["value"]) for line in LINES)
    assert (address, key) == (f"http://{HOST}/v1", served.key) and all(told[line]["visible"] for line in LINES)
    assert address in curl and key in curl and address in python and key in python


def test_who_is_served_is_named_with_its_run(told: list[Mapping[str, object]], run: Run) -> None:
    assert f"{run.name} · Tuned" in str(told[STATE])


def test_a_page_that_is_loaded_again_shows_all_of_it_again(workspace: Workspace, told: list[Mapping[str, object]], run: Run) -> None:  # fmt: skip
    who, *again = panel.drawn_for(workspace, run)
    assert again == told and who["value"] == "tuned" and len(who["choices"]) > 2  # type: ignore[index]


def test_a_stop_hides_what_no_longer_holds(workspace: Workspace, told: list[Mapping[str, object]]) -> None:
    after = list(panel.stopped(workspace))
    assert workspace.serving.served is None and after[START]["variant"] == "primary"
    assert [after[line]["value"] for line in LINES] == [""] * 4


@pytest.mark.parametrize("who", ["", None, "nobody", "step:99999", "run:gone", 7, EVIL])
def test_who_cannot_be_served_is_refused_and_nothing_starts(workspace: Workspace, run: Run, who: object) -> None:
    with pytest.raises(UsageError):
        panel.started(workspace, HOST, run.id, who)
    assert workspace.serving.served is None


def test_the_status_bar_says_on_every_tab_that_something_is_served(workspace: Workspace, run: Run) -> None:
    assert status_bar.pulse_of(workspace, "")["words"]["serving"] == ""  # type: ignore[index]
    panel.started(workspace, HOST, run.id, "tuned")
    said = status_bar.pulse_of(workspace, "")["words"]["serving"]  # type: ignore[index]
    workspace.serving.stop()
    assert said == f"Serving {run.name} · Tuned, 0 answers given"


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1:7860", "http://127.0.0.1:7860/v1"), ("localhost:7861", "http://localhost:7861/v1"), ("[::1]:80", "http://[::1]:80/v1"),
     ("studio.example:7860", "http://127.0.0.1:7860/v1"), ("localhost", "http://localhost/v1")],
)  # fmt: skip
def test_the_address_is_one_that_programs_of_this_machine_reach(host: str, address: str) -> None:
    assert panel.address_of(host) == address


def test_no_name_becomes_markup(workspace: Workspace) -> None:
    assert "<img" not in panel.state_view(workspace, SERVED)


def test_the_line_for_a_shell_holds_its_words_together() -> None:
    words = shlex.split(panel.curl_line(SERVED).replace("\\\n", ""))
    assert words[:2] == ["curl", f"{SERVED.address}/chat/completions"] and len(words) == 8
    assert words[3] == f"Authorization: Bearer {EVIL}" and json.loads(words[-1])["model"] == EVIL


def test_the_lines_for_python_are_python_whatever_the_names_are() -> None:
    tree = ast.parse(panel.python_lines(SERVED))
    assert EVIL in {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
