"""The live page of a run in the real window. What the runs say is written through the store, so nothing is trained here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from engine.events import EvaluationLogged, RunEvent, RunFinished, RunResumed, RunStarted, SampleGenerated, StepLogged
from engine.processes import this_process
from engine.training.store import Store
from engine.types import Dataset, DatasetFormat, DatasetType, Estimate, HeldOut, PretrainedModel, Run, TrainingPlan
from tests.browser.axe import violations

STEPS = 200
STEP = StepLogged(
    run="", step=1, epoch=0.1, loss=1.0, learning_rate=1e-3, grad_norm=0.5, tokens_per_second=900.0, tokens_seen=5, elapsed_seconds=1.0,
    remaining_seconds=2.0, memory_bytes=400_000_000, accuracy=0.5, entropy=1.0, utilisation=0.9,
)  # fmt: skip
ANSWERS = ("tea tea", "We open at nine.", "We open at seven.", "We open at seven each day.")
X_RANGE = "document.querySelector('[data-chart={}]').layout?.xaxis.range"


@dataclass
class Told:
    """A run that is told by the test."""

    store: Store
    run: Run
    step: int = 0

    def say(self, *events: RunEvent) -> None:
        """Write events down as the run's own."""
        for event in events:
            self.store.append(replace(event, run=self.run.id))

    def go_on(self, steps: int) -> None:
        """Log some more steps; every 50 a look at the held-out rows, with answers."""
        for _ in range(steps):
            self.step += 1
            at = self.step
            loss = 2 * math.exp(-at / 60) + 0.1 * (at % 2)
            self.say(replace(STEP, step=at, loss=loss, tokens_seen=1000 * at, elapsed_seconds=2.0 * at))
            if at % 50 == 0:
                self.look(at)

    def look(self, step: int) -> None:
        """Look at the held-out rows, and answer two questions."""
        text = ANSWERS[min(len(ANSWERS) - 1, step // 50)]
        answers = (SampleGenerated(run="", step=step, prompt=prompt, text=text) for prompt in ("When?", "Where?"))
        self.say(EvaluationLogged(run="", step=step, loss=2.0 - step / 200, seconds=1.0), *answers)


def told(store: Store, rank: int, *, technique: str = "lora") -> Told:
    model = PretrainedModel("starter", "Starter model", None, 1_100_000, 1024, "free", "llama")
    here = Path("/nowhere")
    rows = Dataset(
        "ab" * 32, "Tea house", here, here, 20, DatasetType.PROMPT_COMPLETION, DatasetFormat.STANDARD, "question_answer", ()
    )  # fmt: skip
    settings = {"learning_rate": 1e-3, "lora_rank": rank, "per_device_train_batch_size": 8, "max_steps": STEPS}
    estimate = Estimate(500_000_000, {}, 1.0, 1000 * rank, 1_100_000, STEPS)
    plan = TrainingPlan(technique, model, rows, HeldOut("none"), settings, "cpu", "float32", estimate)
    run = Told(store, store.create_run(plan, directory=here, name="told", owner=this_process()))
    run.say(RunStarted(run="", steps=STEPS, trainable_parameters=1000 * rank))
    run.look(0)
    return run


@pytest.fixture(scope="module")
def store(server: Any) -> Iterator[Store]:
    opened = Store(server.workspace / "luthier.sqlite3")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def finished(store: Store) -> Told:
    run = told(store, 4)
    run.go_on(STEPS)
    run.say(
        RunFinished(run="", step=STEPS, elapsed_seconds=400.0, tokens_per_second=900.0, peak_memory_bytes=410_000_000)
    )
    return run


@pytest.fixture(scope="module")
def running(store: Store, finished: Told) -> Told:
    run = told(store, 16)
    run.go_on(120)
    return run


def watch(window: Any, run: Told) -> Page:
    """Open the Train tab and wait until the curves of the run are there."""
    page: Page = window.page
    window.open_tab("Train")
    page.locator(f'#runs [data-pick="{run.run.id}"]').click()
    expect(page.locator("[data-slot=step]")).to_have_text(f"{run.step} / {STEPS}")
    page.wait_for_function("document.querySelector('[data-chart=loss] .scatterlayer path.js-line') !== null")
    return page


def zoom_in(page: Page) -> None:
    """Drag a frame over the middle of the large chart."""
    page.locator("[data-chart=loss]").scroll_into_view_if_needed()
    box = page.locator("[data-chart=loss]").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 90, steps=5)
    page.mouse.up()
    expect(page.locator(".live")).to_have_attribute("data-zoom", re.compile(r"\d+ \d+"))


def test_the_axis_can_be_steps_tokens_or_time_and_the_browser_remembers(window: Any, finished: Told) -> None:
    page = watch(window, finished)
    page.get_by_role("radio", name="Tokens").check(force=True)
    page.wait_for_function(f"Math.round({X_RANGE.format('loss')}[1] / 1000) === 202")
    page.get_by_role("radio", name="Time").check(force=True)
    page.wait_for_function("document.querySelector('[data-chart=loss]').layout.xaxis.title.text === 'minutes'")
    assert page.evaluate("document.querySelector('[data-chart=loss]').data[0].x.at(-1)") == pytest.approx(400 / 60)
    page.reload()
    page = watch(window, finished)
    expect(page.get_by_role("radio", name="Time")).to_be_checked()
    page.get_by_role("radio", name="Step").check(force=True)


def test_smoothing_is_recomputed_from_the_points_by_hand_with_weight_one_half(window: Any, finished: Told) -> None:
    page = watch(window, finished)
    # averages 0.5, 1.25, 2.625 divided by 1/2, 3/4, 7/8 (Adam, arXiv 1412.6980, section 3)
    smoothed = """() => { const c = luthier.curvesOf(); c.add([{steps: [1, 2, 3], columns: {loss: [1, 2, 4]}}]); return c.smooth('loss', 0.5, 100).values; }"""
    assert page.evaluate(smoothed) == pytest.approx([1.0, 5 / 3, 3.0])
    slider, shown = page.get_by_role("slider", name="Smoothing"), page.locator("[data-value=loss]")
    slider.fill("0")
    expect(shown).to_have_text(f"{2 * math.exp(-STEPS / 60):.3f}")
    slider.fill("0.9")
    expect(shown).not_to_have_text(f"{2 * math.exp(-STEPS / 60):.3f}")
    slider.press("ArrowLeft")
    expect(page.locator("[data-slot=smoothing]")).to_have_text("0.89")
    page.get_by_role("button", name="automatic").click()
    expect(page.get_by_role("button", name="automatic")).to_be_hidden()


def test_a_curve_in_the_page_is_thinned_again_when_it_grows_and_keeps_its_spike(window: Any) -> None:
    grown = """() => {
      const c = luthier.curvesOf(), steps = Array.from({length: 9000}, (_, at) => at + 1);
      for (let at = 0; at < 9000; at += 100) c.add([{steps: steps.slice(at, at + 100), columns: {loss: steps.slice(at, at + 100).map((step) => (step === 777 ? 99 : step % 7))}}]);
      const {steps: kept, values} = c.get('loss');
      return [kept.length, kept[0], kept.at(-1), Math.max(...values)];
    }"""
    count, first, last, highest = window.page.evaluate(grown)
    assert count <= 4000 and (first, last, highest) == (1, 9000, 99)


def test_zoom_and_place_survive_updates_and_all_charts_follow(window: Any, running: Told) -> None:
    page = watch(window, running)
    zoom_in(page)
    page.wait_for_function(f"{X_RANGE.format('loss')}[0] > 10")
    zoomed, place = page.evaluate(X_RANGE.format("loss")), page.locator("[data-chart=loss]").bounding_box()
    running.go_on(5)
    expect(page.locator("[data-slot=step]")).to_have_text(f"{running.step} / {STEPS}")
    running.step -= 2
    running.say(RunResumed(run="", step=running.step))  # the curves are told anew, and the zoom stands all the same
    expect(page.locator("[data-slot=step]")).to_have_text(f"{running.step} / {STEPS}")
    page.wait_for_timeout(1500)
    assert page.evaluate(X_RANGE.format("loss")) == zoomed
    assert page.locator("[data-chart=loss]").bounding_box() == place
    page.locator("[data-chart=grad_norm]").scroll_into_view_if_needed()
    page.wait_for_function(f"({X_RANGE.format('grad_norm')} || [])[0] === {zoomed[0]}")
    page.get_by_role("button", name="Whole run").click()
    page.locator("[data-chart=loss]").scroll_into_view_if_needed()
    page.wait_for_function(f"{X_RANGE.format('loss')}[1] > {STEPS}")
    expect(page.get_by_role("button", name="Whole run")).to_be_disabled()


def test_the_pointer_on_one_chart_is_shown_on_all_and_moves_the_answers(window: Any, finished: Told) -> None:
    page = watch(window, finished)
    expect(page.locator("[data-slot=watch-step]")).to_contain_text("step 200")
    box = page.locator("[data-chart=loss]").bounding_box()
    assert box
    page.set_viewport_size({"width": 1440, "height": 1800})
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 100)
    page.mouse.move(box["x"] + 0.4 * box["width"] + 3, box["y"] + 102)
    expect(page.locator("[data-slot=watch-step]")).to_contain_text("step 50")
    expect(page.locator("[data-chart=grad_norm] + .spike")).to_be_visible()


def test_curves_are_read_and_zoomed_by_key(window: Any, finished: Told) -> None:
    page = watch(window, finished)
    frame = page.get_by_role("group", name=re.compile("Loss: arrow keys"))
    frame.press("ArrowRight")
    expect(frame.locator("[aria-live]")).to_have_text(
        re.compile(r"step 102: training rows \d\.\d+, held-out rows \d\.\d+")
    )
    frame.press("+")
    expect(page.locator(".live")).to_have_attribute("data-zoom", "52 152")
    frame.press("Escape")
    expect(page.locator(".live")).to_have_attribute("data-zoom", "")


def test_answers_are_scrubbed_by_key_and_new_words_are_marked(window: Any, finished: Told) -> None:
    page = watch(window, finished)
    scrubber, answer = page.get_by_role("slider", name="Step of the answers"), page.locator(".watch-answer").first
    expect(answer).to_have_text(ANSWERS[3])
    scrubber.press("Home")
    expect(answer).to_have_text(ANSWERS[0])
    scrubber.press("ArrowRight")
    scrubber.press("ArrowRight")
    expect(page.locator("[data-slot=watch-step]")).to_contain_text("step 100 · 3 of 5")
    expect(answer.locator(".changed")).to_have_text(["seven."])
    expect(page.locator(".watch-stack li")).to_have_count(4)
    page.get_by_role("radio", name="All questions").check(force=True)
    expect(page.locator(".watch-one")).to_have_count(2)
    page.get_by_role("button", name="Play").click()
    expect(page.locator("[data-slot=watch-step]")).to_contain_text("step 200")


def test_answers_with_markup_are_shown_as_the_text_they_are(window: Any, store: Store, finished: Told) -> None:
    run = told(store, 8)
    evil = "<img src=http://evil.example/x.png onerror=window.hit=1>"
    run.say(
        SampleGenerated(run="", step=1, prompt=evil, text="safe words"),
        SampleGenerated(run="", step=2, prompt=evil, text=f"safe {evil}"),
    )
    run.go_on(3)
    window.page.reload()  # a run that was made behind the window's back is in the list of a fresh page
    page = watch(window, run)
    page.locator(".watch-prompts label").nth(2).click()
    expect(page.locator(".watch-answer").first).to_have_text(f"safe {evil}")
    assert page.evaluate("window.hit") is None and window.complaints.external == []


def test_another_run_is_drawn_over_this_one_with_what_differs(window: Any, finished: Told, running: Told) -> None:
    page = watch(window, running)
    page.get_by_role("button", name="Other runs").click()
    page.locator(f'.overlay-list [value="{finished.run.id}"]').check()
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.get_by_role("list", name="Runs on the charts").get_by_role("listitem")).to_contain_text(
        ["LoRA rank 16", "A · LoRA rank 4"]
    )
    page.wait_for_function("document.querySelector('[data-chart=loss]').data.some((line) => line.x.at(-1) === 200)")
    settings = page.get_by_role("region", name="Settings that differ")
    expect(settings.get_by_role("row", name="LoRA rank")).to_contain_text("16")
    figures = page.get_by_role("region", name="Figures of these runs")
    expect(figures.get_by_role("rowheader")).to_contain_text(["On view", "A ·"])
    figures.get_by_role("button", name="Trained weights").click()
    expect(figures.get_by_role("rowheader")).to_contain_text(["A ·", "On view"])
    page.get_by_role("button", name=re.compile("^Take ")).click()
    expect(page.locator(".side-by-side")).to_be_hidden()


def test_points_and_pictures_can_be_saved(window: Any, finished: Told) -> None:
    page = watch(window, finished)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    lines = saved.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("step,tokens_seen,elapsed_seconds,loss,") and len(lines) == STEPS + 2
    with page.expect_download() as saved:
        page.get_by_role("button", name="Loss: save as a picture").click()
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")


def test_a_chart_fills_the_screen_and_comes_back_with_escape(window: Any, finished: Told) -> None:
    page = watch(window, finished)
    button = page.get_by_role("button", name="Loss: full screen")
    button.click()
    page.wait_for_function("document.querySelector('[data-chart=loss]').layout.height > 500")
    button.press("Escape")
    page.wait_for_function("document.querySelector('[data-chart=loss]').layout.height === 300")


def test_nothing_is_asked_while_nobody_looks(window: Any, running: Told) -> None:
    page = watch(window, running)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    window.open_tab("Data")
    page.wait_for_timeout(1500)  # what was on its way has arrived
    asked.clear()
    page.wait_for_timeout(2500)
    assert not [each for each in asked if '"fn_name":"source"' in each]
    window.open_tab("Train")
    page.evaluate("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true})")
    page.wait_for_timeout(1500)
    asked.clear()
    page.wait_for_timeout(2500)
    assert asked == []


def test_only_charts_with_points_are_shown_and_memory_has_its_foreseen_line(window: Any, finished: Told) -> None:
    page = watch(window, finished)
    expect(page.locator("[data-chart=entropy]")).to_be_visible()
    for key in ("margin", "pair_rewards", "clip_share", "reward_std", "kl"):
        expect(page.locator(f"[data-chart={key}]")).to_be_hidden()
    page.locator("[data-chart=memory]").scroll_into_view_if_needed()
    page.wait_for_function(
        "document.querySelector('[data-chart=memory]').data?.some((line) => line.y[0] === 500000000)"
    )
    expect(page.locator("[data-value=predicted_memory]")).to_have_text("500 MB")
    expect(page.locator(".run-findings")).to_contain_text("Nothing unusual was found in these curves.")


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_on_a_page_with_everything_open(
    new_window: Any, finished: Told, running: Told, mode: str
) -> None:
    window = new_window(mode)
    page = watch(window, running)
    page.get_by_role("button", name="Other runs").click()
    page.locator(f'.overlay-list [value="{finished.run.id}"]').check()
    expect(page.locator(".side-by-side")).to_be_visible()
    zoom_in(page)
    assert violations(page) == []
    assert window.complaints.console == []
