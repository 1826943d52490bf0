"""The charts of a run, one row each; the page draws what stands here and knows no chart by name.

To add a chart, add a row whose series the workspace's `series` delivers. A chart is shown as soon as a run has a point for
it; which one is drawn large stands in `run_reading.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        key: Its name in `SeriesDelta.points`.
        style: "smoothed" (faint raw line, moving average in front), "line", "markers", or "level" (one value that holds for the
            whole run, named in `live_answer`'s levels).
        tone: Which colour of the palette: "accent", "second" or "quiet".
    """

    key: str
    title: str
    style: str = "line"
    tone: str = "accent"


@dataclass(frozen=True)
class Chart:
    """A picture of one thing over the steps of a run.

    Attributes:
        meaning: What it shows and what a healthy one looks like, one or two plain sentences.
        unit: What the vertical axis counts; drawn above the axis.
        from_zero: Whether the vertical axis begins at zero, so that small noise looks small.
        is_share: Whether the values are shares from 0 to 1, which are told as percent.
        whole: Whether the vertical axis always reaches from 0 to 1.
        may_be_log: Whether powers of ten on its axis make sense.
        group: The heading under which it stands among the smaller charts, a key of `GROUPS`.
    """

    key: str
    title: str
    meaning: str
    unit: str
    series: tuple[Series, ...]
    from_zero: bool = True
    is_share: bool = False
    whole: bool = False
    may_be_log: bool = False
    group: str = "learning"

    def to_json(self) -> dict[str, object]:
        """Return the row as the page's script reads it."""
        return asdict(self)


GROUPS: Mapping[str, str] = {
    "learning": "What it learns", "answers": "What it writes while it learns", "steps": "How it steps", "machine": "The machine",
}  # fmt: skip
"""Headings of the smaller charts, in their order."""

CHARTS: tuple[Chart, ...] = (
    Chart(
        "loss", "Loss",
        "How surprised the model is by the right answers. Falling means it learns. When the dots of the held-out rows "
        "turn upwards while the line still falls, it begins to memorise. Where the model learns from rewards it says little.",
        "surprise per token",
        (Series("loss", "training rows", "smoothed"), Series("eval_loss", "held-out rows", "markers", "second")),
        from_zero=False, may_be_log=True,
    ),
    Chart(
        "reward", "Reward",
        "How good the model's own answers are, as the reward sees them. It should climb and then stay. If it climbs while the drift "
        "below it leaps, the model has found a trick: read its answers.",
        "mean reward of an answer",
        (Series("reward", "answers in training", "smoothed"), Series("eval_reward", "held-out questions", "markers", "second")),
        from_zero=False,
    ),
    Chart(
        "accuracy", "Answers right",
        "The share that the model gets right: of text the tokens, of labels the rows, of pairs those where it prefers the better "
        "answer (a coin would get half). It climbs fast at first, then slowly.",
        "share",
        (Series("accuracy", "training rows", "smoothed"), Series("eval_accuracy", "held-out rows", "markers", "second")),
        is_share=True, whole=True,
    ),
    Chart(
        "f1", "F1",
        "Like the share told right, but each label counts the same, however rare it is. Far below that share means that the rare "
        "labels are missed.",
        "0 to 1", (Series("eval_f1", "held-out rows", "markers", "second"),),
    ),
    Chart(
        "margin", "Margin",
        "How far the better answers are ahead of the worse in the model's eyes. It should grow from 0 and then level off; if it grows "
        "without end, the model begins to memorise the pairs.",
        "better minus worse",
        (Series("margin", "training rows", "smoothed"), Series("eval_margin", "held-out rows", "markers", "second")),
    ),
    Chart(
        "pair_rewards", "Better and worse answers",
        "How much likelier than the untuned model it finds each side of a pair. The better answers should end above the worse. When "
        "both sink, it is unlearning more than it learns.",
        "against the untuned model",
        (Series("chosen_reward", "better answers", "smoothed"), Series("rejected_reward", "worse answers", "smoothed", "second")),
        from_zero=False,
    ),
    Chart(
        "entropy", "How undecided it is",
        "How open the next word still is in the model's eyes. It sinks as the model becomes sure. A fall to zero means that it says "
        "the same thing over and over.",
        "nats a token (entropy)", (Series("entropy", "undecidedness", "smoothed"),),
    ),
    Chart(
        "kl", "Drift from the base (KL)",
        "How far the answers have moved from the untuned model's. Healthy is a slow rise. A leap means that the text is breaking, even "
        "if the reward goes on rising: lower the learning rate or raise beta.",
        "nats",
        (Series("kl", "training rows", "smoothed"), Series("eval_kl", "held-out rows", "markers", "second")),
        group="answers",
    ),
    Chart(
        "reward_std", "Spread of rewards",
        "How far the rewards of several answers to one question lie apart. It learns from that difference: near zero, all answers are "
        "judged alike and there is nothing to learn.",
        "reward", (Series("reward_std", "answers in training", "smoothed"),), group="answers",
    ),
    Chart(
        "answer_tokens", "Length of answers",
        "How long the model's own answers are. It should stay about the same, unless the reward asks for length; a fall to almost "
        "nothing, or a climb to the longest allowed, means that it games the reward.",
        "tokens", (Series("answer_tokens", "answers in training", "smoothed"),), group="answers",
    ),
    Chart(
        "learning_rate", "Learning rate",
        "How far each step moves the weights: it rises during the warm-up, then falls so that the end is calm.",
        "size of a step", (Series("learning_rate", "learning rate"),), group="steps",
    ),
    Chart(
        "grad_norm", "Gradient norm",
        "How hard the rows pull at the weights. Single spikes are odd rows; a steady climb means the learning rate is too high.",
        "length of the gradient", (Series("grad_norm", "gradient norm", "smoothed"),), group="steps",
    ),
    Chart(
        "clip_share", "Steps cut short",
        "The share of words whose change was too large for one step and was cut. A few percent is usual; lasting above a fifth "
        "means that the learning rate is too high.",
        "share of tokens", (Series("clip_share", "tokens cut short", "smoothed"),), is_share=True, group="steps",
    ),
    Chart(
        "throughput", "Speed",
        "How much text is learnt each second. A lasting drop means that something else is using this machine.",
        "tokens per second", (Series("tokens_per_second", "tokens per second", "smoothed"),), group="machine",
    ),
    Chart(
        "memory", "Memory",
        "What the training holds in memory. It should be flat after the first steps; the dashed line is what the plan foresaw.",
        "bytes", (Series("memory_bytes", "in use", "line", "quiet"), Series("predicted_memory", "foreseen", "level", "second")),
        group="machine",
    ),
    Chart(
        "utilisation", "Device in use",
        "The share of the time in which the device computes. Far below what it can do, it waits for rows: larger batches help.",
        "of the time", (Series("utilisation", "in use", "smoothed", "quiet"),), is_share=True, whole=True, group="machine",
    ),
)  # fmt: skip
"""All charts in the order in which they are drawn."""
