from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from engine.errors import UsageError
from engine.workspace import Workspace
from ui import guard, tab_train
from ui.choices import Choices
from ui.data_sources import arrived_example, with_arrived
from ui.panel import picked
from ui.run_answers import answer
from ui.session import restored, to_remember
from ui.shell import TABS, adopted, build_app, launch_options
from ui.tab_technique import cost_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("workspace"))


def test_the_window_is_built_and_offers_no_function_to_programs(workspace: Workspace) -> None:
    app = build_app(workspace)
    assert len(app.fns) > 20
    assert {function.api_visibility for function in app.fns.values()} == {"private"}


def test_no_event_has_the_page_keep_progress_of_its_outputs(workspace: Workspace) -> None:
    """Gradio's page writes the progress of every output anew at each step of each event, which takes half a second a click."""
    shown = [function.show_progress_on for function in build_app(workspace).fns.values() if function.outputs]
    assert len(shown) > 50 and all(components == [] for components in shown)


def test_the_pages_functions_only_read(workspace: Workspace) -> None:
    # They bypass the queue and accept posts of foreign text/plain, so what they can do is small and known.
    app = build_app(workspace)
    names = {name for block in app.blocks.values() for name in getattr(block, "server_fns", [])}
    assert {function.__name__ for function in names} == {
        "source", "detail", "table", "others", "compared", "pulse",
    }  # fmt: skip


def test_building_the_window_writes_no_file_beside_the_source(workspace: Workspace) -> None:
    build_app(workspace)
    assert not list((ROOT / "ui").glob("*.pyi"))


def test_the_page_asks_nobody_else_for_anything(workspace: Workspace) -> None:
    options = launch_options(workspace)
    styles = "".join(Path(path).read_text(encoding="utf-8") for path in options["css_paths"])
    for source in (str(options["head"]), styles, options["theme"]._get_theme_css()):
        assert not re.search(r"""(src|href)=["']https?:|@import|url\(\s*["']?https?:""", source)
    assert not options["theme"]._stylesheets


def test_every_colour_of_the_theme_has_its_dark_one(workspace: Workspace) -> None:
    theme = launch_options(workspace)["theme"]
    assert theme.body_background_fill != theme.body_background_fill_dark
    assert theme.block_background_fill != theme.block_background_fill_dark


def test_there_are_the_four_tabs_in_the_order_of_the_way() -> None:
    assert [title for _, title, _ in TABS] == ["Data", "Technique", "Train", "Compare"]


def test_a_fresh_workspace_restores_nothing(workspace: Workspace) -> None:
    assert restored(workspace) == Choices()


def test_an_example_brings_its_rows_and_a_technique_that_exists(workspace: Workspace) -> None:
    chosen = with_arrived(Choices(run="old"), arrived_example(workspace, "shop"))
    assert chosen.dataset_rows > 100
    assert chosen.example == "shop"
    assert chosen.run is None
    assert chosen.technique in {entry.technique.key for entry in workspace.planner.techniques()}


def test_choices_without_a_run_survive_a_reload_by_way_of_the_browser(workspace: Workspace) -> None:
    chosen = with_arrived(Choices(), arrived_example(workspace, "shop")).with_settings({"max_steps": "60"})
    assert restored(workspace, to_remember(chosen)) == chosen
    assert to_remember(chosen.with_run("run-1")) is None


@pytest.mark.parametrize(
    "kept", [3, {}, {"dataset": "0" * 64}, {"dataset": "x", "model": 1, "technique": [], "settings": 0}]
)
def test_what_a_browser_kept_and_makes_no_sense_here_is_forgotten(workspace: Workspace, kept: object) -> None:
    assert restored(workspace, kept) == Choices()


def test_what_is_found_of_before_never_replaces_what_somebody_chose_meanwhile() -> None:
    found, chosen = Choices(run="old"), Choices(example="shop")
    assert adopted(found, Choices()) == found
    assert adopted(found, chosen) not in (found, chosen)


def test_looking_for_what_was_before_leaves_the_choices_alone_until_it_has_ended(workspace: Workspace) -> None:
    app = build_app(workspace)
    choices = next(block for block in app.blocks.values() if isinstance(block, gr.State) and block.value == Choices())
    (restore,) = (function for function in app.fns.values() if function.name == "restore")
    assert choices not in restore.outputs


def test_an_unknown_example_is_a_mistake_not_a_bug(workspace: Workspace) -> None:
    with pytest.raises(UsageError):
        with_arrived(Choices(), arrived_example(workspace, "../../etc/passwd"))


def test_without_data_the_estimate_says_what_to_do(workspace: Workspace) -> None:
    assert "Choose data first" in cost_of(workspace, Choices())


@pytest.mark.parametrize(
    "asked", [None, 3, [], {}, {"run": 5}, {"run": "nope"}, {"run": "nope", "after": -1}, {"run": "x", "after": "1"}]
)
def test_the_live_view_answers_nonsense_with_nothing(workspace: Workspace, asked: object) -> None:
    assert answer(workspace, asked) == {}


@pytest.mark.parametrize("sent", [None, 3, {}, {"key": 5}, {"key": "x" * 10_000}])
def test_a_key_that_we_did_not_draw_is_empty(sent: object) -> None:
    assert picked(gr.EventData(None, sent)) == ""


def test_choices_that_are_equal_are_one_choice_and_others_are_not() -> None:
    assert hash(Choices().with_settings({"a": 1, "b": 2})) == hash(Choices().with_settings({"b": 2, "a": 1}))
    assert Choices().with_settings({"a": 1}) != Choices()
    assert Choices().with_settings({"a": 1}).with_technique("lora").settings == ()


def test_a_mistake_shows_its_sentence_and_a_bug_a_line_to_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(guard.gr, "Warning", lambda message, duration, title: said.append((title, message)))

    @guard.guarded
    def mistaken() -> object:
        raise UsageError("the <b> question is empty", next_step="Type one.")

    @guard.guarded
    def broken() -> Iterator[object]:
        yield 1
        raise ZeroDivisionError("by <zero>")

    assert mistaken() == gr.skip()
    assert list(broken()) == [1, gr.skip()]
    assert said[0] == ("Please check", "the &lt;b&gt; question is empty. Type one.")
    assert said[1][0] == "This is a bug"
    assert "ZeroDivisionError: by &lt;zero&gt; at test_shell.py:" in said[1][1]


def test_what_a_technique_cannot_learn_from_blocks_start_with_the_reason(workspace: Workspace) -> None:
    fitting = with_arrived(Choices(), arrived_example(workspace, "shop"))
    pairs = workspace.data.inspect_example("preference").dataset
    assert pairs is not None
    unfitting = fitting.with_dataset(pairs.fingerprint, name="pairs", rows=pairs.rows, held_out=None, example=None)
    start, _, _, _, _, outcome, *_ = tab_train.drawn(workspace, fitting)
    assert start["interactive"] is True and "cannot be trained" not in outcome
    start, _, _, _, _, outcome, *_ = tab_train.drawn(workspace, unfitting)
    assert start["interactive"] is False and "a better and a worse answer" in outcome
