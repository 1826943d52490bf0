"""The receipt of a run as one page to share: from the engine's receipt to standalone HTML.

No script and nothing from outside; light and dark by what the reader's system prefers; it prints. Each section says one plain
sentence first and shows its figures after. Whatever comes from data is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from engine.workspace import CHANCE, PairedTest, Receipt, p_words
from ui.markup import text
from ui.receipt_style import STYLE
from ui.words import bytes_text, counted, figure_text, loss_text, seconds_text, share_text

TONES = {True: "good", False: "plain", None: "plain"}


def receipt_page(receipt: Receipt, *, with_rows: bool = True) -> str:
    """Return the page.

    Args:
        receipt: What was measured.
        with_rows: Whether some held-out rows with their answers stand on it; leave them out where rows are private.
    """
    sections = [section for section in SECTIONS if with_rows or section is not _rows]
    body = "".join(section(receipt) for section in sections)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>Receipt: {text(receipt.origin.name)}</title><style>{STYLE}</style></head><body><main>'
        f"{_head(receipt)}{body}{_foot()}</main></body></html>\n"
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # half a character of two would end the writing of the file


def _head(receipt: Receipt) -> str:
    origin = receipt.origin
    return (
        f'<header><p class="kind">Receipt of a tuning run</p><h1>{text(origin.name)}</h1>'
        f'<p class="verdict {TONES[receipt.learned]}">{text(receipt.sentence)}</p>'
        f"<p>{text(origin.technique_title)} on {text(origin.model_title)}, {counted(origin.dataset_rows, 'row')} of "
        f"{text(origin.dataset)}. Measured {_day(receipt.made)}.</p></header>"
    )


def _foot() -> str:
    return (
        "<footer><p>An interval holds the true value in 95 of 100 such measurements. A p-value is the chance to see a difference at least "
        "this large if both ways were equally good. Made by Luthier.</p></footer>"
    )


def _scores(receipt: Receipt) -> str:
    if not receipt.arms:
        return ""
    arms = [(arm.title, score_text(receipt, arm.score), f"{score_text(receipt, arm.low)} to {score_text(receipt, arm.high)}", f"{arm.rows:,}", _bar(arm.score)) for arm in receipt.arms]  # fmt: skip
    table = _table("Scores on held-out rows", ("Way", receipt.metric_title, "95 % interval", "Rows", ""), arms, raw=4)
    against = [(one.title, difference_text(receipt, one.test), f"{one.test.higher:,}", f"{one.test.lower:,}", p_words(one.test.p_value)) for one in receipt.contrasts]  # fmt: skip
    tests = _table("The tuned model against the others, row by row", ("Against", "Difference (95 % interval)", "Rows better", "Rows worse", "Paired test"), against) if against else ""  # fmt: skip
    return _section("What it learned", _others(receipt), f"{table}{tests}<p>{text(receipt.metric_help)} Asked: {text(receipt.origin.asked)}.</p>")  # fmt: skip


def _others(receipt: Receipt) -> str:
    """Say how the tuned model stands beside prompts."""
    prompts = [one for one in receipt.contrasts if one.against not in {"base", CHANCE}]
    if not prompts:
        return receipt.sentence
    beaten = [one.title.lower() for one in prompts if one.test.is_sure and one.test.difference > 0]
    better = [one.title.lower() for one in prompts if one.test.is_sure and one.test.difference < 0]
    open_ = [one.title.lower() for one in prompts if not one.test.is_sure]
    said = [f"better than {' and '.join(beaten)}"] if beaten else []
    said += [f"worse than {' and '.join(better)}"] if better else []
    said += [f"not told apart from {' and '.join(open_)}"] if open_ else []
    return f"{receipt.sentence} The tuned model is {', '.join(said)}."


def _forgetting(receipt: Receipt) -> str:
    found = receipt.forgetting
    if found is None:
        return ""
    change = found.change
    said = "General texts became neither easier nor harder to it, as far as these show."
    if change.is_sure:
        said = "It forgot something: general texts became harder to it." if change.difference > 0 else "It forgot nothing that these texts show: they became easier to it."  # fmt: skip
    figures = [
        ("Loss before", loss_text(found.base_loss)), ("Loss after", loss_text(found.tuned_loss)),
        ("Change", f"{change.difference:+.3f} ({change.low:+.3f} to {change.high:+.3f}), {p_words(change.p_value)}"),
        ("Texts", f"{found.texts:,}, of which {change.higher:,} became harder"),
    ]  # fmt: skip
    return _section("What it forgot", said, _list(figures))


def _weights(receipt: Receipt) -> str:
    proof = receipt.proof
    if proof is None:
        return ""
    said = "Its weights moved." if proof.weights_moved else "No weight moved."
    if proof.weights_moved and proof.probes:
        said = f"Its weights moved, and {proof.answers_changed} of {counted(proof.probes, 'probed answer')} changed."
    figures = [
        ("Kept weights against those in memory", f"logits differ by {figure_text(proof.reload_difference)}, at most {figure_text(proof.tolerance)} is allowed"),
        *(("Noticed", problem) for problem in proof.problems),
    ]  # fmt: skip
    return _section("Whether weights moved", said, _list(figures))


def _drift(receipt: Receipt) -> str:
    drift = receipt.drift
    if drift is None:
        return ""
    length = "about as long as before"
    if drift.length.is_sure:
        length = "longer than before" if drift.length.difference > 0 else "shorter than before"
    refusals = f"{drift.tuned_refusals} of {drift.answers} refuse, {drift.base_refusals} before"
    figures = [
        ("Words of an answer", f"{drift.tuned_words:.1f}, {drift.base_words:.1f} before ({p_words(drift.length.p_value)})"),
        ("Answers that changed", f"{drift.changed} of {drift.answers}"), ("Refusals", refusals),
        ("Answers without a word", f"{drift.tuned_empty}, {drift.base_empty} before"),
    ]  # fmt: skip
    return _section("How its answers changed", f"Its answers are {length}; {refusals}.", _list(figures))


def _judge(receipt: Receipt) -> str:
    found = receipt.judge
    if found is None:
        return ""
    answers, known = found.answers, found.known
    figures = [
        ("Judge", found.title + (", which is the model that was tuned: it may favour its own way to write" if found.is_own_base else "")),
        ("The tuned model's answer", f"{answers.first} of {counted(answers.read, 'pair')}, in both orders"),
        ("The base's answer", f"{answers.second}, in both orders ({p_words(answers.p_value)})"),
        ("Neither: the choice changed with the order", f"{answers.undecided}"),
        ("The longer of the chosen", f"{answers.longer} of {answers.first + answers.second}"),
        ("Answers that are the same", f"{found.same}, which were not shown"),
        ("Tried on pairs with a known better answer", _tried(receipt)),
        ("Chance of A and B together", f"{answers.on_letters:.0%}; low where it does not do as it is told"),
    ]  # fmt: skip
    if answers.unread + known.unread:
        figures.append(("Too long for it to read", f"{counted(answers.unread + known.unread, 'pair')}"))
    note = "<p>A judge is a model with a taste of its own; many favour long answers, and their own style. It stands beside the score above and never for it.</p>"  # fmt: skip
    return _section("What another model finds better", _judge_says(receipt), _list(figures) + note)


def _tried(receipt: Receipt) -> str:
    known = receipt.judge.known if receipt.judge else None
    if known is None or not known.read:
        return "no row has an answer of its own, or all have the same: it could not be tried"
    return f"right in {known.first} of {known.read}, wrong in {known.second}, undecided in {known.undecided}"


def _judge_says(receipt: Receipt) -> str:
    """Say whom the judge prefers, or that it cannot be believed."""
    found = receipt.judge
    assert found is not None
    if not found.answers.read:
        return f"{found.title} had nothing to judge."
    if found.is_believed is False:
        return (
            f"{found.title} cannot judge these rows: it found the row's own answer beside another row's in {found.known.first} of "
            f"{found.known.read} pairs. What it prefers says nothing."
        )
    whom = {
        "tuned": "prefers the tuned model's answers",
        "base": "prefers the base's answers",
        "": "prefers neither beyond chance",
    }
    untried = " It could not be tried on pairs with a known better answer." if found.is_believed is None else ""
    return f"{found.title} {whom[found.prefers]}: {found.answers.first} against {found.answers.second} of {found.answers.read}.{untried}"


def _by_heart(receipt: Receipt) -> str:
    found = receipt.memorised
    if found is None:
        return ""
    said = f"Asked {counted(found.asked, 'training question')}, it gave the row's own answer word for word in {found.repeated}."
    figures = [("Training rows", f"{found.repeated} of {found.asked} ({share_text(found.repeated, found.asked)})")]
    if found.held_out_asked:
        share = share_text(found.held_out_repeated, found.held_out_asked)
        figures.append(("Rows it never saw", f"{found.held_out_repeated} of {found.held_out_asked} ({share})"))
    note = "<p>Where each question has one right answer, that is what it was trained for. Where it has many, many rows more by heart than of those it never saw means that rows can be drawn out of the model.</p>"  # fmt: skip
    return _section("Training rows said by heart", said, _list(figures) + note)


def _rows(receipt: Receipt) -> str:
    if not receipt.examples:
        return ""
    rows = [(row.question, row.reference, row.base, row.tuned) for row in receipt.examples]
    table = _table("Held-out rows with both answers", ("Question", "The row's own answer", "Before", "After"), rows)
    return _section("Some rows to look at", "Chosen by what changed most and what is not right yet.", table)


def _costs(receipt: Receipt) -> str:
    costs = receipt.costs
    said = f"It took {seconds_text(costs.seconds)} and trained {share_text(costs.trainable_parameters, costs.total_parameters)} of the numbers."  # fmt: skip
    figures = [
        ("Steps", f"{costs.steps:,}"), ("Time", seconds_text(costs.seconds)),
        ("Most memory", bytes_text(costs.peak_memory_bytes) if costs.peak_memory_bytes else "not known"),
        ("Tokens seen", f"{costs.tokens_seen:,}" if costs.tokens_seen else "not known"),
        ("Trained numbers", f"{costs.trainable_parameters:,} of {costs.total_parameters:,}"),
        ("Checkpoint on disk", bytes_text(costs.checkpoint_bytes)),
    ]  # fmt: skip
    if costs.base_answer_seconds is not None and costs.tuned_answer_seconds is not None:
        before = figure_text(costs.base_answer_seconds)
        figures.append(("Time of an answer", f"{figure_text(costs.tuned_answer_seconds)} s, {before} s before"))
    return _section("What it took", said, _list(figures))


def _origin(receipt: Receipt) -> str:
    origin = receipt.origin
    figures = [
        ("Run", f"{origin.run}, {origin.status}, made {_day(origin.created)}"), ("Checkpoint that speaks", f"step {receipt.step:,}"),
        ("Model", f"{origin.model} (licence: {origin.model_licence})"),
        ("Rows", f"{origin.dataset_rows:,}; SHA-256 {origin.dataset_fingerprint}"),
        ("Held out", f"{counted(origin.held_out_rows, 'row')} ({origin.held_out})"), ("Plan", f"SHA-256 {origin.plan_hash}"),
        ("Seed", "not known" if origin.seed is None else str(origin.seed)), ("Computed on", f"{origin.device}, {origin.dtype}"),
        *(("Versions", _versions(found)) for found in origin.environments),
    ]  # fmt: skip
    settings = _table("Settings", ("Setting", "Value"), [(key, value) for key, value in origin.settings.items()])
    return _section("What it was made of", "With these rows, settings and versions it can be made again.", _list(figures) + settings)  # fmt: skip


def _gaps(receipt: Receipt) -> str:
    lines = "".join(f"<li><strong>{text(gap.what)}.</strong> {text(gap.reason)}</li>" for gap in receipt.not_measured)
    return _section("What was not measured", "This receipt says nothing of the following.", f"<ul>{lines}</ul>")


SECTIONS: Sequence[Callable[[Receipt], str]] = (
    _scores, _judge, _forgetting, _weights, _drift, _by_heart, _rows, _costs, _origin, _gaps,
)  # fmt: skip
"""The page from top to bottom; one that has nothing to say is left out, and its reason stands in the last."""


def _section(title: str, sentence: str, body: str) -> str:
    """Return a section; `body` is HTML."""
    return f'<section><h2>{text(title)}</h2><p class="first">{text(sentence)}</p>{body}</section>'


def _list(figures: Iterable[tuple[str, object]]) -> str:
    return f"<dl>{''.join(f'<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>' for name, value in figures)}</dl>"


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], raw: int | None = None) -> str:
    """Return a table; the cells of column `raw` are HTML."""
    head = "".join(f'<th scope="col">{text(name)}</th>' if name else "<td></td>" for name in heads)
    lines = []
    for first, *rest in rows:
        cells = "".join(
            f"<td>{cell if number == raw else text(cell)}</td>" for number, cell in enumerate(rest, start=1)
        )
        lines.append(f'<tr><th scope="row">{text(first)}</th>{cells}</tr>')
    return f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}"><table><caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'  # fmt: skip


def _bar(score: float) -> str:
    width = max(0.0, min(1.0, score)) * 100
    return f'<span class="bar" aria-hidden="true"><span style="width:{width:.1f}%"></span></span>'


def _in_percent(receipt: Receipt) -> bool:
    return all(arm.right is not None for arm in receipt.arms)


def score_text(receipt: Receipt, score: float) -> str:
    """Return a score as the receipt writes it: in percent where rows are right or wrong."""
    return f"{score:.0%}" if _in_percent(receipt) else f"{score:.3f}"


def difference_text(receipt: Receipt, test: PairedTest) -> str:
    """Return a difference of scores with its interval."""
    if _in_percent(receipt):
        return f"{test.difference * 100:+.0f} points ({test.low * 100:+.0f} to {test.high * 100:+.0f})"
    return f"{test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f})"


def _versions(found: object) -> str:
    if not isinstance(found, dict):
        return "not known"
    packages = found.get("packages")
    listed = ", ".join(f"{name} {version}" for name, version in packages.items()) if isinstance(packages, dict) else ""
    return f"Python {found.get('python')}, {found.get('device')}, {found.get('cores')} cores; {listed}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
