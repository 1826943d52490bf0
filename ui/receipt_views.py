"""What the view of receipts shows: what a receipt is, how far one has come, its sentence and figures, and its page in a frame. Pure."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace

from engine.types import PretrainedModel
from engine.workspace import ARM_TITLES, CHANCE, Receipt, ReceiptProgress, ReceiptScope, p_words
from ui import words
from ui.markup import card, stats, text
from ui.receipt_page import difference_text, receipt_page, score_text

_ASKED = (
    ("What it learned", "Held-out rows are answered by the base, by the tuned model and with the best prompts; a paired test tells luck from learning."),
    ("What it forgot", "Both read some general texts: is the tuned model worse at them than the base was?"),
    ("What it says by heart", "Training rows are asked: how many answers come back word for word?"),
    ("What it took", "Time, memory, settings, versions and the fingerprint of the rows."),
    ("What was not measured", "Stands there too, each with its reason."),
)  # fmt: skip
TIME = "The starter model takes 5 to 20 seconds on two cores; a model of a billion numbers takes minutes. What was measured before is not asked again."


SMALL_JUDGE_PARAMETERS = 1_000_000_000


def no_receipt() -> str:
    """Return what stands where no receipt is kept."""
    parts = "".join(f"<div><dt>{text(name)}</dt><dd>{text(says)}</dd></div>" for name, says in _ASKED)
    return (
        '<section class="card empty receipt-empty"><h2>No receipt of this run yet</h2><p>A receipt is one page that says whether this run '
        f"really learned, with figures, to keep and to share. It measures:</p><dl>{parts}</dl><p>{text(TIME)}</p></section>"
    )


def foreseen(scope: ReceiptScope, rows: int, ways: int, seconds: float) -> str:
    """Return what pressing the button will do.

    Args:
        scope: What a receipt of the run can ask.
        rows: How many rows will be asked.
        ways: In how many ways each.
        seconds: How long that takes, estimated.
    """
    counted = f"{words.counted(rows, 'row')} in {words.counted(ways, 'way')}"
    says = [f"Asks {counted}, {words.roughly_text(seconds)}."]
    if not rows:
        says = ["No rows were held out, so whether it learned cannot be measured; the rest can."]
    if scope.reads_texts:
        says.append(
            f"Then it reads general texts{' and asks training rows' if scope.asks_training_rows else ''}, which comes on top."
        )
    return f'<p class="help">{text(" ".join(says))} What was measured before is not asked again.</p>'


def judge_foreseen(judge: PretrainedModel, base: PretrainedModel) -> str:
    """Return what a judge will do, and a caution where it is not much of one."""
    says = f"Then {words.short_title(judge.title)} reads each row's two answers in both orders, which takes a while with a large model."
    caution = ""
    if judge.id == base.id:
        caution = "It is the model that was tuned, and no better than that: it may favour its own way to write."
    elif judge.parameters < SMALL_JUDGE_PARAMETERS:
        caution = f"With {judge.parameters:,} parameters it is small for a judge; see how it does where the right answer is known."
    return f'<p class="help">{text(says)}</p>' + (f'<p class="caution">{text(caution)}</p>' if caution else "")


def cannot_be_made(sentence: str) -> str:
    """Return why no receipt can be made, or why making one ended."""
    return card(f'<p role="alert">{text(sentence)}</p>', title="No receipt was made", classes="mistake")


def said(sentence: str) -> str:
    """Return a sentence that a screen reader is told too."""
    return f'<p class="help" role="status">{text(sentence)}</p>'


def waiting(holder: str | None) -> str:
    """Return what stands before the first figure: whom it waits for, or that a model is loaded."""
    says = f"Waits for the processor, which is held by {holder}…" if holder else "Loading the model…"
    return f'<div class="measuring" role="status"><progress aria-label="Making the receipt"></progress><p>{text(says)}</p></div>'


def progressing(name: str, progress: ReceiptProgress, seconds_left: float | None) -> str:
    """Return how far a receipt has come.

    Args:
        name: Which run it is of; another one may be on view.
        progress: How far.
        seconds_left: What is left, estimated; None when that cannot be said yet.
    """
    percent = round(100 * progress.share)
    left = f" · {words.roughly_text(seconds_left)} left" if seconds_left is not None else ""
    return (
        f'<div class="measuring"><progress max="100" value="{percent}" aria-label="Making the receipt of {text(name)}">{percent} %</progress>'
        f'<p>{percent} %{text(left)}</p><p class="help" role="status">{text(progress.doing)}</p><p class="help">Receipt of {text(name)}</p></div>'
    )


def ways_offered(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Return the other ways to answer, as a person ticks them."""
    return [(ARM_TITLES[arm], str(arm)) for arm in arms]  # type: ignore[index]  # keys are strings


def summary(receipt: Receipt, *, with_rows: bool, is_stale: bool, now: float | None = None) -> str:
    """Return a receipt's sentence and main figures, whether it is still true, and its two files.

    Args:
        receipt: What was measured.
        with_rows: Whether rows stand in the files.
        is_stale: Whether other weights speak for the run now.
        now: Seconds since the epoch.
    """
    tone = {True: "good", False: "plain", None: "plain"}[receipt.learned]
    stale = (
        f'<p class="caution" role="status">Other weights speak for this run now than those that were measured at step {receipt.step:,}: this receipt '
        "is of the past. Press “Make it again” for what the run is now.</p>"
        if is_stale
        else ""
    )
    when = words.when_text(receipt.made, time.time() if now is None else now)
    return (
        f'<section class="card receipt-summary"><header class="card-head"><h2>Receipt of {text(receipt.origin.name)}</h2>'
        f'<span class="muted">step {receipt.step:,} · made {text(when)}</span></header>{stale}'
        f'<p class="receipt-verdict" data-tone="{tone}">{text(receipt.sentence)}</p>'
        f"{stats(_figures(receipt), label='The main figures of the receipt')}{_files(receipt, with_rows=with_rows)}</section>"
    )


def framed(receipt: Receipt, *, with_rows: bool) -> str:
    """Return the page itself, in a frame of its own in which nothing runs."""
    page = receipt_page(receipt, with_rows=with_rows)
    return (
        f'<iframe class="receipt-page" sandbox="" title="The receipt of {text(receipt.origin.name)}, the whole page" '
        f'srcdoc="{text(page)}"></iframe>'
    )


def beside(receipt: Receipt, other: Receipt) -> str:
    """Return the main figures of two receipts in one table, and a warning where their scores are not of the same rows."""
    of_same_rows = _asked_rows(receipt) == _asked_rows(other)
    warning = (
        ""
        if of_same_rows
        else '<p class="caution">They were asked other rows, or scored in another way: set side by side, their scores say nothing.</p>'
    )
    figures = [{name: (value, meaning) for name, value, meaning in _figures(each)} for each in (receipt, other)]
    names = dict.fromkeys(name for each in figures for name in each)
    lines = "".join(
        f'<tr><th scope="row">{text(name)}</th>{"".join(_cell(*each.get(name, ("–", ""))) for each in figures)}</tr>'
        for name in names
    )
    sentences = "".join(f"<td>{text(each.sentence)}</td>" for each in (receipt, other))
    heads = "".join(f'<th scope="col">{text(each.origin.name)}</th>' for each in (receipt, other))
    table = (
        f'<table class="receipt-beside"><thead><tr><td></td>{heads}</tr></thead><tbody>{lines}'
        f'<tr><th scope="row">In a sentence</th>{sentences}</tr></tbody></table>'
    )
    return card(f"{warning}{table}", title="Side by side")


def _asked_rows(receipt: Receipt) -> tuple[object, ...]:
    origin, tuned = receipt.origin, receipt.arm("tuned")
    return receipt.metric, origin.dataset_fingerprint, origin.held_out, origin.asked, tuned.rows if tuned else 0


def _cell(value: str, meaning: str) -> str:
    return f'<td>{text(value)}<span class="help">{text(meaning)}</span></td>'


def _figures(receipt: Receipt) -> list[tuple[str, str, str]]:
    base, tuned = receipt.arm("base"), receipt.arm("tuned")
    found = [
        (name, f"{score_text(receipt, arm.score)}", f"{receipt.metric_title}, {score_text(receipt, arm.low)} to {score_text(receipt, arm.high)} on {arm.rows} rows")
        for name, arm in (("Before", base), ("After", tuned)) if arm
    ]  # fmt: skip
    main = next((one for one in receipt.contrasts if one.against in {"base", CHANCE}), None)
    if main:
        found.append(("By chance alone", p_words(main.test.p_value), f"How often chance would make a difference like {difference_text(receipt, main.test)}"))  # fmt: skip
    if receipt.forgetting:
        change = receipt.forgetting.change
        meaning = (
            f"Change in loss on {receipt.forgetting.texts} general texts, {p_words(change.p_value)}; above 0 it forgot"
        )
        found.append(("Forgetting (loss)", f"{change.difference:+.2f}", meaning))
    if receipt.memorised:
        share = words.share_text(receipt.memorised.repeated, receipt.memorised.asked)
        found.append(("Said by heart", share, f"Of {receipt.memorised.asked} training rows that were asked"))
    judged = receipt.judge
    if judged and judged.is_believed is not False:
        meaning = f"Pairs of answers, by {judged.title}; the base's in {judged.answers.second}, {p_words(judged.answers.p_value)}"
        found.append(("A judge prefers it", f"{judged.answers.first} of {judged.answers.read}", meaning))
    found.append(("Training took", words.seconds_text(receipt.costs.seconds), "From its first step to its last"))
    return found


def _files(receipt: Receipt, *, with_rows: bool) -> str:
    shared = receipt if with_rows else replace(receipt, examples=())
    page = receipt_page(receipt, with_rows=with_rows)
    name = file_name(receipt)
    kept = json.dumps(shared.to_json(), indent=1)
    return (
        f'<p class="receipt-files"><a class="button small" download="{name}.html" href="{_address("text/html", page)}">Save as page (HTML)</a>'
        f'<a class="button small" download="{name}.json" href="{_address("application/json", kept)}">Save as JSON</a>'
        '<span class="help">The page is one file without scripts; it opens anywhere and prints.</span></p>'
    )


def file_name(receipt: Receipt) -> str:
    """Return what the files are called: words of the run's name that every disk takes."""
    name = "-".join(re.findall(r"[A-Za-z0-9]+", receipt.origin.name))[:60].lower()
    return f"receipt-{name}" if name else "receipt"


def _address(kind: str, content: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{b64encode(content.encode('utf-8', 'replace')).decode()}"
