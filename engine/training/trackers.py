"""Other tools that can be told the same figures: one row a tool. None of them is needed, and none is imported unless it is chosen."""

from __future__ import annotations

import netrc
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from transformers import TrainerCallback

from engine.errors import RunError
from engine.types import Run


def tracker_callback(key: str, run: Run) -> TrainerCallback | None:
    """Return what tells a tool of a run; None for "none".

    Raises:
        RunError: When the tool is not installed beside Luthier.
    """
    if key == "none":
        return None
    if find_spec(key) is None:
        raise RunError(
            "the tool that the run should also report to is not installed", where="report_to", found=key,
            next_step=f"Install it into the same environment (pip install {key}), or report to none.",
        )  # fmt: skip
    return TRACKERS[key](run)


def _tensorboard(run: Run) -> TrainerCallback:
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - not installed for most
    from transformers.integrations import TensorBoardCallback  # type: ignore[attr-defined]  # noqa: PLC0415 - as above

    return TensorBoardCallback(SummaryWriter(log_dir=str(run.directory / "tensorboard")))


def _trackio(run: Run) -> TrainerCallback:
    from transformers.integrations import TrackioCallback  # type: ignore[attr-defined]  # noqa: PLC0415 - as above

    return TrackioCallback()


def _wandb(run: Run) -> TrainerCallback:
    # Before it is imported, which is when it looks: without a login it would ask for one on a terminal that nobody watches.
    if not _is_logged_in("api.wandb.ai", "WANDB_API_KEY"):
        os.environ["WANDB_MODE"] = "offline"
    os.environ.setdefault("WANDB_PROJECT", "luthier")
    os.environ["WANDB_DIR"] = str(run.directory)
    from transformers.integrations import WandbCallback  # type: ignore[attr-defined]  # noqa: PLC0415 - as above

    return WandbCallback()


def _is_logged_in(host: str, variable: str) -> bool:
    try:
        return bool(os.environ.get(variable) or netrc.netrc().authenticators(host))
    except (OSError, netrc.NetrcParseError):
        return False


TRACKERS: Mapping[str, Callable[[Run], TrainerCallback]] = {
    "tensorboard": _tensorboard, "trackio": _trackio, "wandb": _wandb,
}  # fmt: skip
"""One row a tool, under the name of its package."""
