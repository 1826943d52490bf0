"""Bringing a model, its tokenizer and an adapter into memory, safely and one at a time.

Every load in the process goes through `LOAD_LOCK`: transformers 5.23 replaces methods of its classes while it loads, and two
loads at once leave them replaced for good. Nothing here runs code from a model's folder, reaches the network or opens a pickle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from engine.errors import ModelError
from engine.models.bottleneck import register_bottleneck
from engine.models.catalog import STARTER
from engine.models.folder import read_config
from engine.models.four_bits import skipped_modules
from engine.models.tokenizer_trial import try_tokenizer
from engine.models.weights import layer_matrices
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


@dataclass(frozen=True)
class Quantisation:
    """How a model's own weights are kept in 4 bits. Source: Dettmers et al. 2023, arXiv:2305.14314, section 3.

    Attributes:
        type: "nf4" or "fp4".
        double: Whether the blocks' constants are rounded too.
    """

    type: str = "nf4"
    double: bool = True


def load_base(
    model: PretrainedModel,
    *,
    device: str,
    dtype: str,
    quantisation: Quantisation | None = None,
    outputs: Sequence[str] = (),
) -> PreTrainedModel:
    """Load a model as it was published, ready to answer: evaluation mode, cache on, no settings of its own for sampling.

    Args:
        model: A model on this disk.
        device: "cpu", "cuda" or "mps".
        dtype: "float32", "bfloat16" or "float16".
        quantisation: How its weights are kept in 4 bits; None keeps them as they are.
        outputs: Names of the outputs of a head for labels or a reward; the head starts random and small, the same each time.

    Raises:
        ModelError: When it is not on this disk, is damaged, is of an unknown kind or does not fit into memory.
    """
    path = _local_path(model)
    disable_progress_bar()  # transformers draws one for every load, on every terminal that started a window,
    set_verbosity_error()  # and reports that a new head is new; what is missing otherwise is refused below
    with LOAD_LOCK, _speaking_plainly(path, "the model cannot be loaded"):
        config = _clean_config(path)
        if outputs:
            _name_outputs(config, outputs)
        model_class = _class_for(config, headed=bool(outputs))
        base, missing = _from_pretrained(model_class, path, config, DTYPES[dtype], device, quantisation)
        missing = {name for name in missing if not (outputs and name.startswith("score."))}
        if missing:
            raise ModelError(
                "the weights are not complete",
                where=str(path),
                found=f"{len(missing)} missing, the first is {min(missing)}",
                next_step="Download the model again.",
            )
        if quantisation is None:  # 4-bit weights were put where they belong while they were made
            torch.nn.Module.to(base, torch.device(device))
        else:
            without_repacking(base)
    base.config.use_cache = True
    if not outputs:
        _without_habits(base)
    base.eval()
    return base


def without_repacking(base: PreTrainedModel) -> None:
    """Keep 4-bit weights as they are also when the model answers.

    On processors with avx512_bf16, bitsandbytes 0.50 lays them out anew before the first answer. That fails where the width of a layer
    is no multiple of the block of 64 (the starter model's 352), and rounds otherwise than training did.
    """
    for module in base.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010 - an attribute that torch's types do not know


def _name_outputs(config: PreTrainedConfig, outputs: Sequence[str]) -> None:
    config.num_labels = len(outputs)
    config.id2label = dict(enumerate(outputs))
    config.label2id = {name: number for number, name in enumerate(outputs)}
    if config.pad_token_id is None:  # transformers finds the last token of a row by it, and takes no batch without
        ends = config.eos_token_id
        config.pad_token_id = ends[0] if isinstance(ends, list) else ends if ends is not None else 0


def _without_habits(base: PreTrainedModel) -> None:
    """Keep only what says where a text ends.

    A temperature or a penalty of the publisher's would otherwise slip into every answer, and base and tuned would not be compared
    on the settings that the screen shows.
    """
    published = base.generation_config
    base.generation_config = GenerationConfig(
        bos_token_id=published.bos_token_id,
        eos_token_id=published.eos_token_id,
        pad_token_id=published.pad_token_id,
        use_cache=True,
    )


def empty_model(model: PretrainedModel, *, labels: int = 0) -> PreTrainedModel:
    """Build a model of this shape without its weights, on the device that is current; with a head when it has labels."""
    config = _clean_config(_local_path(model))
    if labels:
        _name_outputs(config, [str(number) for number in range(labels)])
    return _class_for(config, headed=labels > 0)(config)


def freeze_layers(base: PreTrainedModel, layers: int) -> None:
    """Let all weights move but those of the lowest layers; with any layer kept, the embedding is kept too.

    Args:
        base: Any model of which the blocks stand in a `ModuleList`.
        layers: How many blocks to keep, from the text upwards.
    """
    base.requires_grad_(True)
    if layers <= 0:
        return
    blocks = next(module for module in base.modules() if isinstance(module, torch.nn.ModuleList))
    for kept in (base.get_input_embeddings(), *blocks[:layers]):
        cast("torch.nn.Module", kept).requires_grad_(False)


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
    register_bottleneck()
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


def _class_for(config: PreTrainedConfig, *, headed: bool) -> type[PreTrainedModel]:
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(
            "this kind of model does not write text",
            found=config.model_type,
            next_step="Choose a text model, for example SmolLM2 or Qwen2.5.",
        )
    if headed and type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise ModelError(
            "transformers has no head for labels for this kind of model",
            found=config.model_type,
            next_step="Choose a Llama, Qwen, Gemma, Mistral or Phi model, or teach the label as an answer (LoRA).",
        )
    mapping = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING if headed else MODEL_FOR_CAUSAL_LM_MAPPING
    return cast("type[PreTrainedModel]", mapping[type(config)])


def _from_pretrained(
    model_class: type[PreTrainedModel],
    path: Path,
    config: PreTrainedConfig,
    dtype: torch.dtype,
    device: str,
    quantisation: Quantisation | None,
) -> tuple[PreTrainedModel, set[str]]:
    """Load with torch's own attention, or the plain one where the model's class does not support it."""
    packed: dict[str, Any] = {} if quantisation is None else {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=quantisation.type, bnb_4bit_use_double_quant=quantisation.double,
            bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=skipped_modules(layer_matrices(path)),
        ),
        "device_map": {"": device},
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a new head's first numbers
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
                **packed,
            ),
        )
    return base, report["missing_keys"]
