"""Makes ONNX graphs of models that kb cannot write itself: traced by torch's exporter, quantised by ONNX Runtime's.

torch's older exporter gives wrong graphs for some models without a word, so the one built on ``torch.export`` is used,
and every graph is compared with its model anyway.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from typing import TYPE_CHECKING, Final

from kb.embed.graph import OUTPUT
from kb.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from kb.embed.load import TorchModel

_LONGEST: Final = 512


def trace(original: TorchModel, path: Path) -> None:
    """Write the graph of a model that is loaded in torch, and its weights beside it.

    Raises:
        ModelError: It cannot be traced.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise ModelError(
            "The package onnxscript, by which torch exports models, is not installed",
            "Run: pip install onnx onnxscript",
        )
    import torch

    transformer = original.transformer.eval()

    class Encoder(torch.nn.Module):
        """The transformer with its two inputs and its one output."""

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            """The vectors of the tokens."""
            found: torch.Tensor = transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return found

    ids = torch.full((2, 16), 5)
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    axes = {0: torch.export.Dim("texts", min=1, max=_LONGEST), 1: torch.export.Dim("tokens", min=2, max=_LONGEST)}
    quiet = logging.getLogger("torch.onnx")
    quiet.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Encoder(),
                (ids, mask),
                str(path),
                input_names=["input_ids", "attention_mask"],
                output_names=[OUTPUT],
                dynamic_shapes={"input_ids": axes, "attention_mask": axes},
                dynamo=True,
                external_data=True,
                verbose=False,
            )
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"torch cannot export the model ({reason})", "It runs in torch as it is.") from error


def quantize(source: Path, target: Path) -> None:
    """Write a graph with its matrices in eight bits, each column by a scale of its own.

    Seven of the eight bits are used, since processors with AVX2 alone overflow otherwise.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().disabled, before = True, logging.getLogger().disabled
    try:
        quantize_dynamic(
            source,
            target,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
            use_external_data_format=True,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.getLogger().disabled = before
