"""The charts of a run, one row each; the page draws what stands here and knows no chart by name.

To add a chart, add a row whose series the workspace's `series` delivers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        key: Its name in `SeriesDelta.points`.
        style: "smoothed" (faint raw line, moving average in front), "line" or "markers".
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
        main: Whether it is drawn large, first.
        from_zero: Whether the vertical axis begins at zero, so that small noise looks small.
    """

    key: str
    title: str
    meaning: str
    unit: str
    series: tuple[Series, ...]
    main: bool = False
    from_zero: bool = True

    def to_json(self) -> dict[str, object]:
        """Return the row as the page's script reads it."""
        return asdict(self)


CHARTS: tuple[Chart, ...] = (
    Chart(
        "loss", "Loss",
        "How surprised the model is by the right answers. Falling means it learns. When the dots of the held-out rows "
        "turn upwards while the line still falls, it begins to memorise.",
        "surprise per token",
        (Series("loss", "training rows", "smoothed"), Series("eval_loss", "held-out rows", "markers", "second")),
        main=True, from_zero=False,
    ),
    Chart(
        "learning_rate", "Learning rate",
        "How far each step moves the weights: it rises during the warm-up, then falls so that the end is calm.",
        "size of a step", (Series("learning_rate", "learning rate"),),
    ),
    Chart(
        "grad_norm", "Gradient norm",
        "How hard the rows pull at the weights. Single spikes are odd rows; a steady climb means the learning rate is too high.",
        "length of the gradient", (Series("grad_norm", "gradient norm", "smoothed"),),
    ),
    Chart(
        "throughput", "Speed",
        "How much text is learnt each second. A lasting drop means that something else is using this machine.",
        "tokens per second", (Series("tokens_per_second", "tokens per second", "smoothed"),),
    ),
    Chart(
        "memory", "Memory",
        "What the training holds in memory. It should be flat after the first steps.",
        "bytes", (Series("memory_bytes", "memory", "line", "quiet"),),
    ),
)  # fmt: skip
"""All charts in the order in which they are drawn."""
