"""What stands in the headers of safetensors files: names and shapes, read without torch and without the weights.

A header is eight bytes of length (little endian), that much JSON, then the data. Everything is checked against the file's
size, because a file cut short kills the process when torch maps it.
Source: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

from engine.errors import ModelError

INDEX_NAME = "model.safetensors.index.json"
HEADER_LIMIT_BYTES = 16 * 2**20
"""The largest models have headers of some 100 kB a file; the format itself allows 100 MB."""

NO_LAYERS = ("embed", "wte", "wpe", "lm_head", "shared", "output_projection")
"""Parts of the names of matrices that are no layer between the embedding and the head."""


def weight_files(folder: Path) -> list[Path]:
    """List the safetensors files that hold a folder's weights, whole or in shards.

    Raises:
        ModelError: When there are none, when only pickled weights are there, or when the index names a missing file.
    """
    index = folder / INDEX_NAME
    if index.is_file():
        return _shards(folder, index)
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    raise _no_weights(folder)


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Read every tensor's shape, by name.

    Raises:
        ModelError: When a file is not safetensors, is cut short, or has an absurd header.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        shapes.update(_shapes_in(path))
    return shapes


def count_parameters(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Count the numbers in all tensors; tied weights stand in the file once."""
    return sum(prod(shape) for shape in shapes.values())


def layer_matrices(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the matrices between embedding and head, by the names of their layers.

    Raises:
        ModelError: As `tensor_shapes`.
    """
    return {
        name.removesuffix(".weight"): shape
        for name, shape in tensor_shapes(folder).items()
        if name.endswith(".weight") and len(shape) == 2 and not any(word in name for word in NO_LAYERS)
    }


def _shards(folder: Path, index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError("the index of the weights cannot be read", where=str(index), found=str(error)) from error
    for name in names:
        plain = isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")
        if not plain or not (folder / name).is_file():
            raise ModelError(
                "a weights file is missing",
                where=str(folder),
                expected=f"{name}, which the index names",
                next_step="Download the model again.",
            )
    return [folder / name for name in names]


def _no_weights(folder: Path) -> ModelError:
    if any(folder.glob("adapter_*.safetensors")):
        return ModelError(
            "this folder holds an adapter, not a whole model",
            where=str(folder),
            next_step="Choose the folder of the model that the adapter was trained on.",
        )
    pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if pickled:
        return ModelError(
            "the weights are pickled, and opening a pickle can run any program",
            where=str(folder),
            found=pickled[0],
            expected="model.safetensors",
            next_step="Choose a version of the model that is saved as safetensors.",
        )
    return ModelError(
        "there are no weights in this folder",
        where=str(folder),
        expected=f"model.safetensors, or {INDEX_NAME} and its shards",
        next_step="Choose another folder, or download the model again.",
    )


def _shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > HEADER_LIMIT_BYTES or 8 + length > size:
            raise _unreadable(path, f"a header of {length:,} bytes in a file of {size:,}")
        header = file.read(length)
    try:
        entries = json.loads(header)
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items() if name != "__metadata__"}
        end = max((int(entry["data_offsets"][1]) for name, entry in entries.items() if name in shapes), default=0)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error
    if 8 + length + end != size:
        raise _unreadable(path, f"{size:,} bytes where the header promises {8 + length + end:,}")
    if any(number < 0 for shape in shapes.values() for number in shape):
        raise _unreadable(path, "a negative size")
    return shapes


def _unreadable(path: Path, found: str) -> ModelError:
    return ModelError(
        "the weights file is damaged or is not safetensors",
        where=str(path),
        found=found,
        next_step="Download the model again, or choose another folder.",
    )
