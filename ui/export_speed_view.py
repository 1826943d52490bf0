"""What exports cost and are worth, as a table beside the base and the run's own model. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.workspace import ANSWER_METRIC_TITLES, ExportSpeed, KeptExport, SpeedLine, SpeedTable
from ui import words
from ui.markup import card, term, text

MEANS = (
    "The base, the run's own model in float32 and every export that is as it was written are asked the same rows, one after the other, by the "
    "libraries that load them. Answers are greedy."
)
COLUMNS = (
    ("Model", "What was asked"),
    ("On disk", "All files of its folder; an adapter needs the base beside it"),
    ("Memory", "Of its numbers, once it is loaded"),
    ("First token", "From the question to the first token of an answer, the middle one of all, in milliseconds"),
    ("Tokens a second", "Of whole answers, reading the question included"),
    ("Held-out score", "From 0 to 1, with the interval in which it lies with 95 % certainty"),
)
GGUF_NOTE = "GGUF: transformers makes floats of it again, so memory and speed here are not those of llama.cpp or Ollama, which keep it small."
WAVERS = "Speeds waver while the machine does other work; size, memory and score do not."
NOT_HELD_OUT = "The run held out no rows, so nothing is scored."


def speeds(table: SpeedTable | None, kept: Sequence[KeptExport], reason: str, measuring: bool, now: float) -> str:
    """Return the table with the button that measures.

    Args:
        table: What was measured; None when nothing was.
        kept: The exports of the run.
        reason: Why nothing can be measured; empty when it can.
        measuring: Whether it is being measured now.
        now: Seconds since the epoch.
    """
    why = reason or ("It is being measured; Cancel stands above." if measuring else "")
    off, hint = (' aria-disabled="true"', f'<span class="muted">{text(why)}</span>') if why else ("", "")
    verb = "Measure again" if table else "Measure"
    button = f'<button type="button" class="button" data-pick="measure"{off}>{verb}</button>'
    whole = [one for one in kept if not one.change]
    if table is None:
        count = (
            f"The run has {words.counted(len(whole), 'export')} to measure."
            if whole
            else "The run has no export yet; base and tuned model can be measured already."
        )
        body = f"<p>What fewer bits save, and what they cost: size, memory, speed and score side by side. {MEANS} {count}</p>"
    else:
        body = _table(table, {one.id: one for one in kept}) + _notes(table, whole, now)
    return card(f'{body}<p class="export-measure">{button}{hint}</p>', title="Speed and worth", classes="export-speed")


def _table(table: SpeedTable, kept: Mapping[str, KeptExport]) -> str:
    heads = "".join(f'<th scope="col">{term(name, meaning)}</th>' for name, meaning in COLUMNS)
    rows = "".join(_row(line, kept) for line in table.lines)
    return (
        f'<div class="export-table" tabindex="0" role="group" aria-label="Speed and worth"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(line: SpeedLine, kept: Mapping[str, KeptExport]) -> str:
    speed, since = line.speed, ""
    if line.export and (line.export not in kept or kept[line.export].change):
        since = f' <span class="muted">{"changed" if line.export in kept else "deleted"} since</span>'
    cells = (
        words.bytes_text(speed.disk_bytes) if speed.disk_bytes else "not exported", words.bytes_text(speed.weight_bytes),
        f"{1000 * speed.first_token_seconds:.0f} ms", words.figure_text(speed.tokens_per_second), _score(speed),
    )  # fmt: skip
    return (
        f'<tr><th scope="row">{text(line.title)}{since}</th>{"".join(f"<td>{text(cell)}</td>" for cell in cells)}</tr>'
    )


def _score(speed: ExportSpeed) -> str:
    if speed.score is None:
        return words.UNKNOWN
    if speed.low is None or speed.high is None:
        return f"{speed.score:.2f}"
    return f"{speed.score:.2f} ({speed.low:.2f} to {speed.high:.2f})"


def _notes(table: SpeedTable, whole: Sequence[KeptExport], now: float) -> str:
    first = table.lines[0].speed
    metric = ANSWER_METRIC_TITLES.get(first.metric, first.metric)
    scored = f"; score: {metric}" if first.score is not None else ""
    rows = words.counted(first.rows, "held-out row" if table.held_out else "row")
    says = [f"Measured {words.when_text(table.made, now)} on {table.machine}: {rows} each{scored}."]
    says.append(WAVERS)
    measured = {line.export for line in table.lines}
    if new := sum(one.id not in measured for one in whole):
        says.append(
            f"{words.counted(new, 'export')} came since; measure again to see {'it' if new == 1 else 'them'} here."
        )
    if any(line.speed.format == "gguf" for line in table.lines):
        says.append(GGUF_NOTE)
    if not table.held_out:
        says.append(NOT_HELD_OUT)
    return f'<p class="muted">{text(" ".join(says))}</p>'
