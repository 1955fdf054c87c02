"""The rerankers there are, each made when it is first wished."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from kb.embed.rerank_heads import HeadReranker

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.embed.encoder import Encoder
    from kb.embed.model import Device, Precision
    from kb.ports import Reranker

Kind: TypeAlias = Literal["cross-encoder", "colbert", "lexical"]


@dataclass
class Rerankers:
    """Rerankers by kind.

    Attributes:
        encoder: Gives the embedding model, whose heads two of the kinds are.
        model: The cross-encoder: a name on the hub, or a directory.
        revision: Its revision; empty for the pinned one.
        offline: Never fetch it.
        device: Where to run it.
        precision: What to compute in.
    """

    encoder: Callable[[], Encoder]
    model: str
    revision: str = ""
    offline: bool = False
    device: Device = "auto"
    precision: Precision = "auto"
    _made: dict[Kind, Reranker] = field(default_factory=dict)

    def get(self, kind: Kind) -> Reranker:
        """The reranker of a kind; its weights are loaded when it first reads.

        Raises:
            ModelError: It is not here and cannot be had.
        """
        if kind not in self._made:
            self._made[kind] = self._cross_encoder() if kind == "cross-encoder" else HeadReranker(self.encoder(), kind)
        return self._made[kind]

    def _cross_encoder(self) -> Reranker:
        from kb.embed.cross_encoder import CrossEncoderReranker, locate_reranker

        located = locate_reranker(self.model, self.revision, offline=self.offline)
        return CrossEncoderReranker(located, device=self.device, precision=self.precision)
