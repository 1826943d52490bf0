"""Gradio imported in half the time: without the stub files that it works out for its components at every start.

While gradio 6.31 is imported, `gradio.component_meta` parses the source of each of its 80 components and renders a `.pyi` text
for editors, which it then compares with the file that lies there already: 2 of 4 CPU seconds, for nothing that runs. To be
dropped when gradio does this at build time (its `create_or_modify_pyi` is then gone, and nothing is replaced here).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULE, FUNCTION = "gradio.component_meta", "create_or_modify_pyi"


class _Finder(MetaPathFinder):
    """Finds the one module as it would be found anyway, and empties the one function once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_empty(module: ModuleType) -> None:
            execute(module)
            if hasattr(module, FUNCTION):
                setattr(module, FUNCTION, lambda *of_a_component: None)

        spec.loader.exec_module = execute_and_empty  # type: ignore[method-assign]
        return spec


def import_gradio_without_stubs() -> None:
    """Import gradio so; does nothing more when it was imported already."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        import gradio  # noqa: F401, PLC0415 - this is what the function is for
    finally:
        sys.meta_path.remove(finder)
