"""Bringing a model, its tokenizer and an adapter into memory, safely and one at a time.

Every load in the process goes through `LOAD_LOCK`: transformers 5.23 replaces methods of its classes while it loads, and two
loads at once leave them replaced for good. Nothing here runs code from a model's folder, reaches the network or opens a pickle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from engine.errors import ModelError
from engine.models.catalog import STARTER
from engine.models.folder import read_config
from engine.models.tokenizer_trial import try_tokenizer
from engine.types import PretrainedModel

LOAD_LOCK = threading.RLock()
"""Hold it round every load of a model and round the building of every trainer."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

KERNEL_KEYS = ("attn_implementation", "experts_implementation", "use_kernels", "kernel_config")
"""Keys of a config.json, with any underscores before them and words after, that reach the loader of kernels from the hub."""

LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError)
"""What transformers and torch raise for a folder that does not hold what it says."""


def load_tokenizer(model: PretrainedModel) -> PreTrainedTokenizerBase:
    """Load a model's tokenizer; one without a padding token pads with its end token.

    Raises:
        ModelError: When the model is not on this disk or its tokenizer cannot be read.
    """
    path = _local_path(model)
    if model.id != STARTER:
        try_tokenizer(path)
    with LOAD_LOCK, _speaking_plainly(path, "the tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(model: PretrainedModel, *, device: str, dtype: str) -> PreTrainedModel:
    """Load a model as it was published, ready to answer: evaluation mode, cache on, no settings of its own for sampling.

    Args:
        model: A model on this disk.
        device: "cpu", "cuda" or "mps".
        dtype: "float32", "bfloat16" or "float16".

    Raises:
        ModelError: When it is not on this disk, is damaged, is of an unknown kind or does not fit into memory.
    """
    path = _local_path(model)
    disable_progress_bar()  # transformers draws one for every load, on every terminal that started a window
    with LOAD_LOCK, _speaking_plainly(path, "the model cannot be loaded"):
        config = _clean_config(path)
        base, missing = _from_pretrained(path, config, DTYPES[dtype])
        if missing:
            raise ModelError(
                "the weights are not complete",
                where=str(path),
                found=f"{len(missing)} missing, the first is {min(missing)}",
                next_step="Download the model again.",
            )
    torch.nn.Module.to(base, torch.device(device))
    base.config.use_cache = True
    # Only what says where a text ends is kept: a temperature or a penalty of the publisher's would otherwise
    # slip into every answer, and base and tuned would not be compared on the settings that the screen shows.
    published = base.generation_config
    base.generation_config = GenerationConfig(
        bos_token_id=published.bos_token_id,
        eos_token_id=published.eos_token_id,
        pad_token_id=published.pad_token_id,
        use_cache=True,
    )
    base.eval()
    return base


def load_tuned(base: PreTrainedModel, checkpoint_path: Path) -> PeftModel:
    """Put a checkpoint's adapter onto a base; `unload()` of the answer gives the base back untouched.

    Raises:
        ModelError: When the folder holds no adapter in safetensors form, or one that does not fit this base.
    """
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (checkpoint_path / name).is_file():
            raise ModelError(
                "this checkpoint holds no adapter",
                where=str(checkpoint_path),
                expected=name,
                next_step="Choose another checkpoint of the run.",
            )
    with LOAD_LOCK, _speaking_plainly(checkpoint_path, "the adapter cannot be loaded onto this model"):
        tuned = PeftModel.from_pretrained(base, str(checkpoint_path), is_trainable=False, local_files_only=True)
    return tuned.eval()


def end_token_ids(base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """List the tokens that end an answer: the model's own, and the tokenizer's."""
    own = base.generation_config.eos_token_id
    ids = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id}
    return sorted(id for id in ids if id is not None)


def _local_path(model: PretrainedModel) -> Path:
    if model.path is None:
        raise ModelError(
            f"the model {model.title} is not on this disk",
            next_step=f"Download {model.id} first, or use the starter model.",
        )
    return model.path


@contextmanager
def _speaking_plainly(path: Path, what: str) -> Iterator[None]:
    """Turn what the libraries raise for a bad folder into a sentence."""
    try:
        yield
    except ModelError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(
            "the model does not fit into memory",
            where=str(path),
            next_step="Choose a smaller model, or close what else uses the device.",
        ) from error
    except LOAD_ERRORS as error:
        raise _bad_folder(path, what, error) from error
    except BaseException as error:
        # tokenizers panics in Rust on a bad tokenizer.json; pyo3 makes that a BaseException that cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise _bad_folder(path, what, error) from error


def _bad_folder(path: Path, what: str, error: BaseException) -> ModelError:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return ModelError(
        what, where=str(path), found=first_line, next_step="Choose another model, or download this one again."
    )


def _clean_config(path: Path) -> PreTrainedConfig:
    """Read the configuration without the keys that would fetch and run kernels."""
    plain = _without_kernel_keys(read_config(path))
    kind = str(plain.pop("model_type"))
    if kind not in CONFIG_MAPPING:
        raise ModelError(
            "transformers does not know this kind of model",
            where=str(path),
            found=kind,
            next_step="Choose a model of a family such as Llama, Qwen, Gemma, Mistral or Phi.",
        )
    return CONFIG_MAPPING[kind].from_dict(plain)


def _without_kernel_keys(plain: dict[str, object]) -> dict[str, object]:
    return {
        key: _without_kernel_keys(value) if isinstance(value, dict) else value
        for key, value in plain.items()
        if not key.lstrip("_").startswith(KERNEL_KEYS)
    }


def _from_pretrained(path: Path, config: PreTrainedConfig, dtype: torch.dtype) -> tuple[PreTrainedModel, set[str]]:
    """Load with torch's own attention, or the plain one where the model's class does not support it."""
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(
            "this kind of model does not write text",
            where=str(path),
            found=config.model_type,
            next_step="Choose a text model, for example SmolLM2 or Qwen2.5.",
        )
    model_class = cast("type[PreTrainedModel]", MODEL_FOR_CAUSAL_LM_MAPPING[type(config)])
    base, report = cast(
        "tuple[PreTrainedModel, dict[str, set[str]]]",
        model_class.from_pretrained(
            path,
            config=config,
            dtype=dtype,
            attn_implementation="sdpa" if model_class._supports_sdpa else "eager",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        ),
    )
    return base, report["missing_keys"]
