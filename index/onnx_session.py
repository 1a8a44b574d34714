"""ONNX models are opened in one way: on the CPU, each run on one thread.

The parallelism is over texts and requests, so more threads in a run would only get in each other's
way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_session(model: Path | bytes) -> Any:
    """A session of onnxruntime for a model's file or its content."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
