"""The battery of the Compare tab: many prompts put to several arms, kept as they come, and read in every way.

The handler that asks ends with its page; the engine has kept what was answered by then, and Go on asks the rest. It stands in no
queue of model calls: each batch waits its turn in the engine, so that the chat can be used meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import gradio as gr

from engine.errors import TuningError, UsageError
from engine.types import Run
from engine.workspace import (
    AnswerOrder,
    BatteryReading,
    BatteryView,
    Chair,
    Outcome,
    PatternCount,
    PromptSet,
    Workspace,
)
from ui import battery_views as views
from ui.asking import Typed, text_of, ticked, typed_of
from ui.background import Background, Flags
from ui.battery_parts import MOST_PROMPTS, OnView, Parts
from ui.choices import Choices
from ui.guard import guarded, guarded_with
from ui.panel import QUIET, picked
from ui.session import Session

Updates: TypeAlias = tuple[object, ...]
Step: TypeAlias = tuple[str, int, int, float | None]

HELD_OUT, DATA = "held_out", "data:"
STEP = "step:"
FIRST_ARMS = ("base", "tuned", "few_shot")
MOST_STEPS_OFFERED, MOST_DATASETS_OFFERED, MOST_KEPT_SHOWN = 6, 30, 30
FIRST_PAIR = "1-0"
"""What came later against what was before it."""

READ = 6
"""Components that `Parts.read` names."""


def drawn_for(workspace: Workspace, run: Run) -> Updates:
    """Return the form and the newest battery round a run; see `Parts.drawn`."""
    chairs = offered_chairs(workspace, run)
    keys = [chair.key for chair in chairs]
    arms = gr.update(
        choices=[(chair.title, chair.key) for chair in chairs], value=[key for key in FIRST_ARMS if key in keys]
    )
    newest = next((one.id for one in workspace.batteries.all() if any(arm.run == run.id for arm in one.arms)), "")
    return _prompt_choices(workspace, run), arms, *_read(workspace, OnView(newest))


def offered_chairs(workspace: Workspace, run: Run) -> list[Chair]:
    """Return who can be an arm: everybody who says words or labels, and of the checkpoints some."""
    chairs = [chair for chair in workspace.seating.chairs(run.id) if chair.gives != "reward"]
    steps = [chair for chair in chairs if chair.key.startswith(STEP)][:-1]  # the last one is the tuned arm
    every = -(-len(steps) // MOST_STEPS_OFFERED) if steps else 1
    shown = {chair.key for chair in steps[::every]}
    return [chair for chair in chairs if not chair.key.startswith(STEP) or chair.key in shown]


def prompt_options(workspace: Workspace, run: Run) -> list[tuple[str, str]]:
    """Return which prompts can be asked: what the run held out, and every dataset that asks something."""
    options = []
    plan = run.plan
    count = plan.held_out.dataset.rows if plan.held_out.dataset else len(plan.held_out.indices)
    if count:
        options.append((f"Held-out rows of this run · {count:,}", HELD_OUT))
    own = plan.held_out.dataset.fingerprint if plan.held_out.dataset else ""
    for dataset in workspace.data.datasets()[:MOST_DATASETS_OFFERED]:
        if not dataset.is_plain_text and dataset.fingerprint != own:
            seen = (
                ", all of them, also those it was trained on" if dataset.fingerprint == plan.dataset.fingerprint else ""
            )
            options.append((f"{dataset.name} · {dataset.rows:,} rows{seen}", DATA + dataset.fingerprint))
    return options


def _prompt_choices(workspace: Workspace, run: Run) -> object:
    options = prompt_options(workspace, run)
    return gr.update(choices=options, value=options[0][1] if options else None)


def prompts_offered(workspace: Workspace, run: Run, choices: Choices, chosen: object) -> object:
    """Return the prompts anew after other rows were chosen on the Data tab: those are asked next, else what was chosen stays."""
    options = prompt_options(workspace, run)
    keys = [key for _, key in options]
    dropped = f"{DATA}{choices.dataset}" if choices.dataset != run.plan.dataset.fingerprint else ""
    value = next((key for key in (dropped, chosen) if key in keys), keys[0] if keys else None)
    return gr.update(choices=options, value=value)


def made(workspace: Workspace, run: str, prompts: object, most: object, chairs: Sequence[str]) -> str:
    """Make a battery and return its id.

    Raises:
        TuningError: When what was chosen cannot be asked.
    """
    if not isinstance(most, int | float) or not 1 <= most <= MOST_PROMPTS:
        raise UsageError("so many prompts cannot be asked", found=str(most)[:20], expected=f"1 to {MOST_PROMPTS:,}")
    if not chairs:
        raise UsageError("nobody would answer", expected="1 to 8 arms", next_step="Tick who is asked.")
    arms = [workspace.seating.arm(run, str(chair)) for chair in chairs]
    asked = str(prompts or "")
    if asked == HELD_OUT:
        chosen = workspace.batteries.held_out_of(run, int(most))
        title = f"{workspace.run(run).plan.dataset.name}, held-out rows"
    elif asked.startswith(DATA):
        chosen, title = PromptSet(asked.removeprefix(DATA), None, int(most)), ""
    else:
        raise UsageError("no prompts are chosen", next_step="Choose which rows are asked.")
    return workspace.batteries.create(chosen, arms, title=title).id


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(workspace: Workspace, on_view: OnView) -> Updates:
    """Return everything that is shown of a battery; see `Parts.read`."""
    batteries = workspace.batteries
    listed = []
    for battery in batteries.all()[:MOST_KEPT_SHOWN]:
        done, total = batteries.progress(battery.id)
        listed.append(views.Kept(battery, done, total, battery.id == on_view.battery))
    kept = views.kept(listed)
    if not any(one.is_open for one in listed):
        return OnView(), kept, "", "", "", ""
    reading = batteries.reading(on_view.battery)
    return on_view, kept, views.filters(reading.battery, reading.slices()), *shown(workspace, on_view)


def shown(workspace: Workspace, on_view: OnView) -> tuple[str, str, str]:
    """Return figures, arm against arm, and a page of rows, as the form of filters asks for them."""
    typed = on_view.typed
    battery = workspace.batteries.battery(on_view.battery)
    chosen = text_of(typed, "metric") if "metric" in typed else battery.metric
    scored_by = chosen if chosen in battery.metrics else ""
    reading = workspace.batteries.reading(on_view.battery, scored_by)
    pattern = text_of(typed, "pattern")
    counts: tuple[PatternCount, ...] = reading.count(pattern) if pattern else ()
    page = reading.page(view_of(reading, typed, scored=bool(scored_by)), offset=on_view.offset, limit=views.ROWS_A_PAGE)
    figures = views.figures(battery, reading.summaries(), counts, scored_by, pattern)
    return figures, _contest(reading, on_view, scored=bool(scored_by)), views.rows(reading, page)


def _contest(reading: BatteryReading, on_view: OnView, *, scored: bool) -> str:
    pair = pair_of(reading, on_view.typed)
    if pair is None:
        return ""
    (one, other), numbers = pair, text_of(on_view.typed, "pair") or FIRST_PAIR
    by = _at(list(reading.slices()), text_of(on_view.typed, "by"))
    found = (*reading.contest(one, other), *(reading.contest(one, other, by) if by else ())) if scored else ()
    names = (reading.battery.arm(one).title, reading.battery.arm(other).title)
    return views.contest(names, found, by or "", f"{on_view.battery}:{numbers}")


def view_of(reading: BatteryReading, typed: Typed, *, scored: bool) -> BatteryView:
    """Return which rows the form asks for; what it says that cannot be is left out."""
    order, outcome = text_of(typed, "order"), text_of(typed, "outcome")
    pair = pair_of(reading, typed) if scored else None
    column, _, value = text_of(typed, "slice").partition(":")
    name = _at(list(reading.slices()), column)
    chosen = _at(list(reading.slices()[name]), value) if name else None
    return BatteryView(
        text=text_of(typed, "text"),
        pattern=text_of(typed, "pattern") if ticked(typed, "found") else "",
        arm=_at(list(reading.arms), text_of(typed, "arm")) or "",
        differs=bool(ticked(typed, "differs")),
        slice=(name, chosen) if name and chosen is not None else None,
        against=pair,
        outcome=Outcome(outcome) if pair and outcome in set(Outcome) else None,
        order=AnswerOrder(order) if order in set(AnswerOrder) else AnswerOrder.ASKED,
    )


def pair_of(reading: BatteryReading, typed: Typed) -> tuple[str, str] | None:
    """Return the two arms that are set against each other; None where there is only one."""
    one, _, other = (text_of(typed, "pair") or FIRST_PAIR).partition("-")
    first, second = _at(list(reading.arms), one), _at(list(reading.arms), other)
    return (first, second) if first and second and first != second else None


def _at(values: Sequence[str], number: str) -> str | None:
    return values[int(number)] if number.isdecimal() and len(number) < 6 and int(number) < len(values) else None


# --- wiring -----------------------------------------------------------------------------------------------------------


def wire(workspace: Workspace, session: Session, parts: Parts, run: gr.Dropdown) -> None:
    """Wire the battery to its own controls."""
    flags = Flags()

    @guarded_with(lambda error: (*_buttons(busy=False), _why_not(error), *(gr.skip(),) * READ))
    def start(
        request: gr.Request, run: str, prompts: object, most: object, arms: list[str]
    ) -> Iterator[Updates]:  # fmt: skip
        on_view = OnView(made(workspace, run, prompts, most, arms or []))
        yield from asking_them(workspace, on_view, flags, str(request.session_hash))

    @guarded_with(lambda error: (*_buttons(busy=False), _why_not(error), *(gr.skip(),) * READ))
    def go_on(event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        verb, _, battery = picked(event).partition(":")
        if verb != "go":
            yield (gr.skip(),) * (3 + READ)
            return
        yield from asking_them(
            workspace, OnView(workspace.batteries.battery(battery).id), flags, str(request.session_hash)
        )

    @guarded
    def stop(request: gr.Request) -> Updates:
        flags.raise_for(str(request.session_hash))
        return gr.update(interactive=False), views.said("Stopping. What was answered is kept.")

    @guarded
    def act(event: gr.EventData, on_view: OnView) -> Updates:
        verb, _, battery = picked(event).partition(":")
        if verb == "open":
            return _read(workspace, OnView(workspace.batteries.battery(battery).id))
        if verb == "delete":
            workspace.batteries.delete(battery)
            return _read(workspace, OnView() if on_view.battery == battery else on_view)
        return (gr.skip(),) * READ

    @guarded
    def edit(event: gr.EventData, on_view: OnView) -> Updates:
        if not on_view.battery:
            return (gr.skip(),) * 4
        asked = OnView(on_view.battery, typed_of(event))
        return asked, *shown(workspace, asked)

    @guarded
    def turn(event: gr.EventData, on_view: OnView) -> Updates:
        verb, _, number = picked(event).partition(":")
        if verb != "page" or not number.isdecimal() or len(number) > 6 or not on_view.battery:
            return (gr.skip(),) * 4
        asked = OnView(on_view.battery, on_view.typed, int(number))
        return asked, *shown(workspace, asked)

    @guarded
    def offer(run: str, choices: Choices, chosen: object) -> object:
        if not run or choices.run not in {None, run}:  # another run comes on view, and the tab draws its prompts
            return gr.skip()
        return prompts_offered(workspace, workspace.run(run), choices, chosen)

    asked = [parts.start, parts.stop, parts.progress, *parts.read]
    long = {"trigger_mode": "once", "concurrency_limit": 4, **QUIET}
    parts.start.click(start, [run, parts.prompts, parts.most, parts.arms], asked, **long)
    parts.kept.pick(go_on, None, asked, **long)
    parts.kept.pick(act, parts.on_view, parts.read, **QUIET)
    parts.stop.click(stop, None, [parts.stop, parts.progress], **QUIET)
    parts.filters.edit(edit, parts.on_view, [parts.on_view, *parts.shown], **QUIET)
    parts.rows.pick(turn, parts.on_view, [parts.on_view, *parts.shown], **QUIET)
    session.looked.change(offer, [run, session.choices, parts.prompts], parts.prompts, **QUIET)


def asking_them(workspace: Workspace, on_view: OnView, flags: Flags, window: str) -> Iterator[Updates]:
    """Ask what a battery has no answer to yet, and show how far that is; updates of the buttons, the progress, and `Parts.read`."""
    battery = workspace.batteries.battery(on_view.battery)
    flag = flags.fresh(window)
    yield *_buttons(busy=True), views.waiting(), *_read(workspace, on_view)

    def work(tell: Callable[[Step], None]) -> None:
        for progress in workspace.batteries.answer(battery.id, flag.is_set):
            tell((battery.arm(progress.arm).title, progress.done, progress.total, progress.seconds_left))

    why = ""
    try:
        for step in Background(work, flag).steps():
            yield gr.skip(), gr.skip(), views.progressing(*step), *(gr.skip(),) * READ
    except TuningError as error:  # what was answered before it is shown all the same
        why = f"{error.sentence} "
    done, total = workspace.batteries.progress(battery.id)
    said = (
        "All of them answered." if done == total else f"Stopped at {done:,} of {total:,} answers. Go on asks the rest."
    )
    yield *_buttons(busy=False), views.said(why + said), *_read(workspace, on_view)


def _buttons(*, busy: bool) -> Updates:
    return gr.update(interactive=not busy), gr.update(interactive=busy)


def _why_not(error: Exception) -> str:
    return views.said(error.sentence if isinstance(error, TuningError) else "")
