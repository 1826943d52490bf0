"""4-bit layers on a processor: how far their weights are off by the width of a layer, and what that does to the starter model.

PYTHONPATH=. .venv/bin/python benchmarks/four_bits.py
"""

from __future__ import annotations

import math
from pathlib import Path

import bitsandbytes
import bitsandbytes.functional as functional
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from engine.models.four_bits import skipped_modules, whole_layers
from engine.models.loading import without_repacking
from engine.models.weights import layer_matrices

STARTER = Path(__file__).parents[1] / "assets" / "starter"
WIDTHS = (64, 96, 100, 128, 144, 320, 352, 384, 576, 608, 1000, 1024, 1376, 4864)
TEXTS = (
    "The shop opens at nine.",
    "A cat sat on the mat and looked at the rain.",
    "What is the capital of France?",
    "Tea costs two coins.",
)


def off_by(width: int, kind: str) -> tuple[float, float]:
    """Return how far a weight is off after 4 bits, and a layer's output from that of its own weight."""
    torch.manual_seed(0)
    weight = torch.randn(128, width) * 0.04
    layer = bitsandbytes.nn.Linear4bit(width, 128, bias=False, compute_dtype=torch.float32, quant_type=kind)
    layer.weight = bitsandbytes.nn.Params4bit(weight.clone(), requires_grad=False, quant_type=kind)
    layer.to("cpu")
    without_repacking(torch.nn.Sequential(layer))
    own = functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    seen = torch.randn(32, width)
    with torch.no_grad():
        said, wanted = layer(seen), seen @ own.T
    return float((own - weight).norm() / weight.norm()), float((said - wanted).norm() / wanted.norm())


def starter(skip: list[str] | None, *, rounded: bool = True) -> tuple[torch.Tensor, float]:
    """Return the logits and the loss of the starter on a few texts."""
    more = {} if not rounded else {
        "device_map": {"": "cpu"},
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32,
            llm_int8_skip_modules=skip,
        ),
    }  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(STARTER, dtype=torch.float32, **more).eval()
    without_repacking(model)
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    logits, losses = [], []
    with torch.inference_mode():
        for text in TEXTS:
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            found = model(input_ids=ids, labels=ids)
            logits.append(found.logits[0])
            losses.append(float(found.loss))
    return torch.cat(logits), math.fsum(losses) / len(losses)


def main() -> None:
    """Print both tables."""
    print(
        f"bitsandbytes {bitsandbytes.__version__}, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    )
    print(
        "| width | over 64 | nf4: weight off by | output off from its own weight | fp4: weight off by |\n|---|---|---|---|---|"
    )
    for width in WIDTHS:
        (weight, output), (other, _) = off_by(width, "nf4"), off_by(width, "fp4")
        print(f"| {width} | {width % 64} | {100 * weight:.1f} % | {100 * output:.4f} % | {100 * other:.1f} % |")
    matrices = layer_matrices(STARTER)
    print(f"left whole in the starter: {whole_layers(matrices)}")
    whole, loss = starter(None, rounded=False)
    print(f"starter in float32: loss {loss:.3f}")
    for title, skip in (("all layers in 4 bits", None), ("as Luthier loads it", skipped_modules(matrices))):
        logits, loss = starter(skip)
        print(f"{title}: loss {loss:.3f}, logits off by {100 * float((logits - whole).norm() / whole.norm()):.1f} %")


if __name__ == "__main__":
    main()
