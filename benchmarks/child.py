"""Runs a measurement in a new process, so that benchmarks do not affect each other.

The child is ``python -m benchmarks.child MODULE:FUNCTION ARGUMENTS``; its result comes back as one line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
_MARK: Final = "result of the benchmark: "
# kb's directory of ONNX forms; not a setting, and a benchmark may have its own.
MODELS: Final = "KB_MODELS"
_QUIET: Final = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}


def call(task: str, **arguments: object) -> Any:  # noqa: ANN401 - whatever the task returns, as JSON carries it
    """Run ``benchmarks.MODULE:FUNCTION(**arguments)`` in a new process and return its result.

    Raises:
        RuntimeError: It failed; its messages are on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", task, json.dumps(arguments)],
        cwd=ROOT,
        env=clean_environment() | _QUIET,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith(_MARK):
            return json.loads(line.removeprefix(_MARK))
    raise RuntimeError(f"{task} ended with code {done.returncode} and without a result")


def clean_environment() -> dict[str, str]:
    """The environment without variables that configure kb."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KB_") or name == MODELS}


def progress(text: str) -> None:
    """Print the progress of a long measurement."""
    print(text, file=sys.stderr, flush=True)


def _main() -> None:
    task, arguments = sys.argv[1:]
    module, _, function = task.partition(":")
    result = getattr(importlib.import_module(f"benchmarks.{module}"), function)(**json.loads(arguments))
    print(f"{_MARK}{json.dumps(result)}", flush=True)


if __name__ == "__main__":
    _main()
