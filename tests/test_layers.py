"""The house holds: imports go down only, heavy libraries stay where they belong, and files stay readable."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE_FILES = sorted((ROOT / "engine").rglob("*.py"))
SCREEN_FILES = sorted((ROOT / "ui").rglob("*.py"))
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "gradio", "bitsandbytes", "accelerate"}
LIGHT_MODULES = (
    "engine.types", "engine.errors", "engine.events", "engine.guide.advisor", "engine.guide.cards", "engine.guide.compatibility", "engine.guide.defaults", "engine.guide.evidence",
    "engine.guide.hyperparameters", "engine.guide.lessons", "engine.guide.means", "engine.guide.methods", "engine.guide.moving_parts", "engine.guide.objectives",
    "engine.guide.questions", "engine.guide.rewards", "engine.guide.setting_values", "engine.guide.techniques", "engine.training.store",
    "engine.training.diagnosis", "engine.training.healthy_ranges", "engine.training.metrics", "engine.training.planner", "engine.training.queue", "engine.training.stages", "engine.workspace",
    "engine.__main__",
)  # fmt: skip
FLOORS = (
    "types",
    "errors",
    "processes",
    "hub_ids",
    "hub_files",
    "events",
    "guide",
    "data",
    "models",
    "training",
    "results",
    "workspace",
    "verbs",
    "__main__",
)
TABS_MAY_IMPORT = ("engine.workspace", "engine.types", "engine.errors", "engine.events")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def floor_of(module: str) -> int:
    return FLOORS.index(module.split(".")[1])


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_there_is_something_to_walk() -> None:
    assert len(ENGINE_FILES) > 25
    assert len(SCREEN_FILES) > 8


@pytest.mark.parametrize("path", ENGINE_FILES, ids=name_of)
def test_the_engine_never_reaches_up(path: Path) -> None:
    if path.name == "__init__.py" and path.parent.name == "engine":
        return
    for line, module in imports_of(path):
        assert module.split(".")[0] not in {"ui", "app", "gradio", "plotly"}, f"{path}:{line} imports {module}"
        if module.startswith("engine."):
            assert floor_of(module) <= floor_of(name_of(path)), f"{path}:{line} imports upwards: {module}"


def test_no_module_imports_itself_by_a_circle() -> None:
    edges = {
        name_of(path): {module for _, module in imports_of(path) if module.startswith("engine.")}
        for path in ENGINE_FILES
    }
    finished: set[str] = set()

    def walk(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above, module))
        if module not in finished:
            for below in edges.get(module, set()):
                walk(below, (*above, module))
            finished.add(module)

    for module in edges:
        walk(module, ())
    assert finished >= set(edges)


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_a_light_module_brings_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_that_is_known_of_tuning_is_light() -> None:
    guide = {name_of(path) for path in ENGINE_FILES if path.parent.name == "guide" and path.name != "__init__.py"}
    assert guide <= set(LIGHT_MODULES) and len(guide) > 8


WINDOW_IMPORTS = {"app", "engine", "ui", "bm25s", "markdown_it", "mdurl", "platformdirs", "regex"}
"""What the window imports before it opens, beside gradio with its own and the standard library; heavy libraries come afterwards."""


def test_the_window_opens_with_few_libraries_beside_gradio_and_without_torch(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, uvicorn\nfrom ui.without_stubs import import_gradio_without_stubs\nimport_gradio_without_stubs()\nimport gradio\n"
        "before = set(sys.modules)\nimport app, ui.door, ui.serving, ui.shell, ui.uploads\nfrom engine.workspace import Workspace\n"
        "ui.shell.build_app(Workspace.open(pathlib.Path(sys.argv[1])))\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))\n"
        "print(*{'torch', 'transformers', 'peft', 'trl', 'datasets', 'bitsandbytes', 'scipy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    ours, heavy = done.stdout.splitlines()[-2:]
    assert set(ours.split()) - {"pydantic", "_virtualenv"} <= WINDOW_IMPORTS
    assert heavy == ""


@pytest.mark.parametrize("path", SCREEN_FILES, ids=name_of)
def test_a_screen_reaches_the_engine_by_its_door_only(path: Path) -> None:
    for line, module in imports_of(path):
        if module.split(".")[0] == "engine":
            assert module in TABS_MAY_IMPORT, f"{path}:{line} reaches past the workspace: {module}"


@pytest.mark.parametrize("path", ENGINE_FILES + SCREEN_FILES + [ROOT / "app.py"], ids=name_of)
def test_a_file_fits_in_the_head(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= 450


def test_everything_is_caught_in_two_places_only() -> None:
    caught = []
    for path in ENGINE_FILES + SCREEN_FILES + [ROOT / "app.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            broad = isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) == "Exception")
            caught += [name_of(path)] if broad else []
    assert set(caught) == {"engine.training.queue", "ui.guard"}


@pytest.mark.parametrize("path", ENGINE_FILES + SCREEN_FILES, ids=name_of)
def test_the_maps_name_every_file(path: Path) -> None:
    if path.name == "__init__.py":
        return
    maps = [ROOT / "README.md"] + ([ROOT / "engine" / "__init__.py"] if path.is_relative_to(ROOT / "engine") else [])
    for map_ in maps:
        named = {line.split()[0] for line in map_.read_text(encoding="utf-8").splitlines() if line.strip()}
        assert path.name in named, f"{map_.name} does not name it"
