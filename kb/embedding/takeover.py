"""Has a daemon's model exported to ONNX in the background, and switches to the result without a restart."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from kb.embedding.background_export import BackgroundExport, obstacle
from kb.embedding.onnx_files import read_failure
from kb.errors import KbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.embedding.encoder import Encoder

# A daemon that is stopped sooner would begin in vain, and its start is busy enough.
AFTER_SECONDS: Final = 60.0


class OnnxTakeover:
    """The way of one model from torch to ONNX Runtime.

    Args:
        encoder: The model of the daemon.
        say: Receives a line of the log.
        after: Seconds until the export may begin; None for a minute.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        encoder: Encoder,
        say: Callable[[str], None],
        *,
        after: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._encoder = encoder
        self._say = say
        self._clock = clock
        self._begin_at = clock() + (AFTER_SECONDS if after is None else after)
        self._export: BackgroundExport | None = None
        self._switching: threading.Thread | None = None
        self._done = False

    def step(self) -> None:
        """Do what is due, without waiting; to be called every second."""
        if self._done:
            return
        if self._export is None:
            if self._clock() >= self._begin_at:
                self._begin()
        elif self._export.finished() and self._switching is None:
            if failure := self._export.failure():
                self._finish(f"the model was not exported to ONNX: {failure}; it stays in torch")
                return
            # Loading takes seconds with a large model.
            self._switching = threading.Thread(target=self._switch, name="kb-switch", daemon=True)
            self._switching.start()

    def stop(self) -> None:
        """End an export that has not finished; an export that was interrupted is not a failure."""
        self._done = True
        if self._export is not None and not self._export.finished():
            self._export.stop()
        if self._switching is not None:
            self._switching.join()

    def _begin(self) -> None:
        encoder = self._encoder
        try:
            if not encoder.lacks_form() or read_failure(encoder.located, encoder.models):
                self._done = True
            elif why := obstacle(encoder):
                self._finish(f"the model runs in torch and is not exported to ONNX: {why}")
            else:
                self._export = BackgroundExport(encoder)
                self._say("exporting the model to ONNX in the background, which runs faster on a CPU")
        except (KbError, OSError) as error:
            self._finish(f"the model is not exported to ONNX: {error}")

    def _switch(self) -> None:
        try:
            self._encoder.switch()
        except (KbError, OSError, MemoryError, RuntimeError) as error:
            self._finish(f"the model stays in torch, since its ONNX form cannot be loaded: {error}")
        else:
            self._finish(f"the model runs in ONNX Runtime now: {self._encoder.runs()}")

    def _finish(self, line: str) -> None:
        self._done = True
        self._say(line)
