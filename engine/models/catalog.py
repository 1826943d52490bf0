"""Which models there are: the starter model, the downloaded ones, and small ones that the hub is known to have.

Torch-free and quick, because `models` and the start of the window ask it. A folder is judged in `folder.py`; downloading
stands in `hub.py`; this module touches no network.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from engine.errors import ModelError
from engine.hub_ids import RepositoryKind, is_hub_id, repository_folder
from engine.models.folder import describe_folder
from engine.types import PretrainedModel

__all__ = ["MODELS", "STARTER", "Catalog", "describe_folder", "hub_folder", "is_hub_id"]

STARTER = "starter"
STARTER_TITLE = "Starter model (small world, for learning the tool)"

MODELS = RepositoryKind(
    noun="model",
    error=ModelError,
    example="HuggingFaceTB/SmolLM2-135M-Instruct",
    without_hub="use the starter model or a local folder",
)


def _known(
    id: str,
    title: str,
    parameters: int,
    context: int,
    licence: str,
    family: str,
    hidden: int,
    layers: int,
    vocabulary: int,
) -> PretrainedModel:
    return PretrainedModel(
        id, title, None, parameters, context, licence, family, hidden, layers, vocabulary, 2 * parameters, True
    )


KNOWN_HUB_MODELS = (
    _known("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2 135M Instruct", 134_515_008, 8_192, "apache-2.0", "llama", 576, 30, 49_152),
    _known("HuggingFaceTB/SmolLM2-360M-Instruct", "SmolLM2 360M Instruct", 361_821_120, 8_192, "apache-2.0", "llama", 960, 32, 49_152),
    _known("Qwen/Qwen2.5-0.5B-Instruct", "Qwen2.5 0.5B Instruct", 494_032_768, 32_768, "apache-2.0", "qwen2", 896, 24, 151_936),
    _known("Qwen/Qwen3-0.6B", "Qwen3 0.6B", 596_049_920, 40_960, "apache-2.0", "qwen3", 1_024, 28, 151_936),
    _known("meta-llama/Llama-3.2-1B-Instruct", "Llama 3.2 1B Instruct (ask for access)", 1_235_814_400, 131_072, "llama3.2", "llama", 2_048, 16, 128_256),
    _known("Qwen/Qwen2.5-1.5B-Instruct", "Qwen2.5 1.5B Instruct", 1_543_714_304, 32_768, "apache-2.0", "qwen2", 1_536, 28, 151_936),
    _known("HuggingFaceTB/SmolLM2-1.7B-Instruct", "SmolLM2 1.7B Instruct", 1_711_376_384, 8_192, "apache-2.0", "llama", 2_048, 24, 49_152),
)  # fmt: skip
"""Small models with a licence and a chat template, smallest first; figures from their configurations on the hub."""


def hub_folder(hub_id: str, models_directory: Path) -> Path:
    """Say where a hub model is kept.

    Raises:
        ModelError: When the text is no hub id.
    """
    return repository_folder(hub_id, models_directory, MODELS)


class Catalog:
    """The models that a workspace can offer.

    Args:
        starter: The folder of the model that comes with Luthier.
        models_directory: Where downloaded models are kept; need not exist yet.
    """

    def __init__(self, starter: Path, models_directory: Path) -> None:
        """Keep the two folders; nothing is read yet."""
        self._starter = starter
        self._models_directory = models_directory

    def models(self) -> list[PretrainedModel]:
        """List the starter model, what was downloaded, and known hub models that are not here yet."""
        local = [model for model in (self._describe(STARTER), *map(self._describe, self._downloaded())) if model]
        here = {model.id for model in local}
        return [*local, *(model for model in KNOWN_HUB_MODELS if model.id not in here)]

    def resolve(self, model: str) -> PretrainedModel:
        """Find the model that a person named: "starter", a hub id, or a local folder.

        A known hub model that is not on this disk is returned with `path` None.

        Raises:
            ModelError: When there is no such model, or its folder cannot be trusted.
        """
        if model == STARTER:
            # Made by this project's own program from its own data, so under its licence.
            return replace(describe_folder(self._starter, STARTER, STARTER_TITLE), licence="apache-2.0")
        if is_hub_id(model):
            folder = hub_folder(model, self._models_directory)
            known = next((known for known in KNOWN_HUB_MODELS if known.id == model), None)
            if folder.is_dir():
                return describe_folder(folder, model, known.title if known else model.split("/")[1])
            if known:
                return known
        folder_name = os.path.expanduser(model)
        if os.path.isdir(folder_name):
            return describe_folder(Path(folder_name))
        raise self._unknown(model)

    def _describe(self, model: str) -> PretrainedModel | None:
        """Describe a model for the list; one that is missing or damaged is left out, and `resolve` says why."""
        try:
            return self.resolve(model)
        except ModelError:
            return None

    def _downloaded(self) -> list[str]:
        if not self._models_directory.is_dir():
            return []
        names = (path.name.replace("--", "/", 1) for path in sorted(self._models_directory.iterdir()) if path.is_dir())
        return [name for name in names if is_hub_id(name)]

    def _unknown(self, model: str) -> ModelError:
        if os.path.isfile(os.path.expanduser(model)):
            return ModelError(
                "this is a file, not a model's folder",
                where=model,
                next_step="Choose the folder that the file lies in.",
            )
        if is_hub_id(model):
            return ModelError(
                f"the model {model} is not on this disk",
                next_step=f"Download {model} on the Technique tab, or use the starter model.",
            )
        return ModelError(
            "there is no such model",
            found=repr(model[:120]),
            expected='"starter", the folder of a model, or a hub id such as HuggingFaceTB/SmolLM2-135M-Instruct',
            next_step="Choose one from the list of models.",
        )
