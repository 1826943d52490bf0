"""Importing the heavy libraries in the background, so that the window opens at once and the first click does not pay.

torch, transformers and peft import parts of themselves late. Two threads that begin at different ends find each other's
modules half made ("cannot import name 'PeftModel' from 'peft'"), so whoever needs them waits for the one that imports.
"""

from __future__ import annotations

import importlib
import threading


class WarmUp:
    """One thread that imports modules, once.

    Args:
        names: The modules, heavy ones and our own that need them.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; nothing happens when it has begun before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._import, name="warm-up", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Return when all is imported, or at once when nobody began (the command line imports what it needs itself)."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _import(self) -> None:
        for name in self._names:
            importlib.import_module(name)
