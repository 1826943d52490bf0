"""The screens' outermost net: a mistake becomes its sentence, anything else shows as the bug it is. Every handler wears it."""

from __future__ import annotations

import functools
import inspect
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeAlias

import gradio as gr

from engine.errors import TuningError
from ui.markup import text

log = logging.getLogger(__name__)

TOAST_SECONDS = 6


def say(error: Exception) -> None:
    """Tell the person in a toast: a mistake as its sentence, a bug with one line to copy and its trace in the log."""
    if isinstance(error, TuningError):
        gr.Warning(text(error.sentence), duration=TOAST_SECONDS, title="Please check")
        return
    log.error("a handler failed", exc_info=error)
    gr.Warning(
        f"Something in Luthier itself went wrong; your data and runs are safe. To report it, copy: <code>{text(bug_line(error))}</code>",
        duration=None,
        title="This is a bug",
    )


def bug_line(error: Exception) -> str:
    """Return what went wrong and where in our source, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


P = ParamSpec("P")
Handler: TypeAlias = Callable[P, object]


def guarded(handler: Handler[P]) -> Handler[P]:
    """Wrap a handler (or a generator of updates) so that no exception reaches Gradio; outputs then stay as they are."""
    return guarded_with(lambda _: gr.skip())(handler)


def guarded_with(instead: Callable[[Exception], object]) -> Callable[[Handler[P]], Handler[P]]:
    """Return a guard whose outputs become `instead(error)`, for panels that must not go on saying "working it out"."""

    def guard(handler: Handler[P]) -> Handler[P]:
        if inspect.isgeneratorfunction(handler):

            @functools.wraps(handler)
            def stream(*args: P.args, **kwargs: P.kwargs) -> Iterator[object]:
                try:
                    yield from handler(*args, **kwargs)
                except Exception as error:
                    say(error)
                    yield instead(error)

            return stream

        @functools.wraps(handler)
        def once(*args: P.args, **kwargs: P.kwargs) -> object:
            try:
                return handler(*args, **kwargs)
            except Exception as error:
                say(error)
                return instead(error)

        return once

    return guard
