"""bge-m3's heads give the numbers of the published formulas, computed here with torch only and without padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny_bge_m3 import copy_model

from kb.embedding.encoder import Encoder
from kb.embedding.locate import locate
from kb.embedding.rerankers import HeadReranker
from kb.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from kb.embedding.spec import Located

QUESTION = "the water of the river"
TEXTS = ["water water in the river", "python library of notes", "stone", "the the the a river with a folder of \u2603"]


def states(directory: Path, text: str) -> tuple[list[int], object]:
    """Ids and last hidden states of one text, from transformers."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModel.from_pretrained(directory).eval()
    inputs = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        return inputs["input_ids"][0].tolist(), model(**inputs).last_hidden_state[0]


def test_colbert_is_the_published_formula(tiny: Path, tiny_encoder: Encoder) -> None:
    """normalize(W h + b) for all tokens but the first; the mean of the maxima over the question's tokens."""
    import torch
    from torch.nn.functional import linear, normalize

    head = torch.load(tiny / "colbert_linear.pt", weights_only=True)

    def vectors(text: str) -> torch.Tensor:
        hidden = states(tiny, text)[1]
        assert isinstance(hidden, torch.Tensor)
        return normalize(linear(hidden[1:], head["weight"].float(), head["bias"].float()), dim=-1)

    expected = [float((vectors(QUESTION) @ vectors(text).T).max(dim=1).values.mean()) for text in TEXTS]

    found = HeadReranker(tiny_encoder, "colbert").scores(QUESTION, TEXTS)

    assert found == pytest.approx(expected, abs=1e-4)
    assert len({round(one, 3) for one in found}) == len(TEXTS)


def test_lexical_is_the_published_formula(tiny: Path, tiny_encoder: Encoder) -> None:
    """relu(W h + b), the largest per token, without <s>, </s>, <pad>, <unk>; the sum of the products."""
    import torch
    from torch.nn.functional import linear

    head = torch.load(tiny / "sparse_linear.pt", weights_only=True)

    def weights(text: str) -> dict[int, float]:
        ids, hidden = states(tiny, text)
        assert isinstance(hidden, torch.Tensor)
        values = torch.relu(linear(hidden, head["weight"].float(), head["bias"].float()))[:, 0].tolist()
        found: dict[int, float] = {}
        for id_, value in zip(ids, values, strict=True):
            if id_ not in {0, 1, 2, 3}:
                found[id_] = max(found.get(id_, 0.0), value)
        return found

    asked = weights(QUESTION)
    expected = [sum(asked[id_] * value for id_, value in weights(text).items() if id_ in asked) for text in TEXTS]

    found = HeadReranker(tiny_encoder, "lexical").scores(QUESTION, TEXTS)

    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert max(found) > 0


def test_the_dense_vector_comes_from_the_same_pass(tiny_encoder: Encoder) -> None:
    """The embedding is the first of the states that the heads use."""
    import numpy as np

    with tiny_encoder.in_torch() as model:
        (_, hidden), *_ = model.states(TEXTS, "")

    first = hidden[0] / np.linalg.norm(hidden[0])
    assert first == pytest.approx(tiny_encoder.embed_query(TEXTS[0]), abs=1e-5)


def test_a_model_without_heads_is_reported(minilm: Located) -> None:
    """Before anything is loaded."""
    with pytest.raises(ModelError, match="has no colbert head"):
        HeadReranker(Encoder(minilm), "colbert")


def test_heads_that_do_not_fit_are_refused(tiny: Path, tmp_path: Path) -> None:
    """Heads of another size, and files without a head."""
    import torch

    broken = copy_model(tiny, tmp_path)
    torch.save({"weight": torch.zeros(1, 7), "bias": torch.zeros(1)}, broken / "sparse_linear.pt")
    torch.save([1, 2], broken / "colbert_linear.pt")
    encoder = Encoder(locate(str(broken)))

    with pytest.raises(ModelError, match="does not fit"):
        HeadReranker(encoder, "lexical").load()
    with pytest.raises(ModelError, match="no linear layer"):
        HeadReranker(encoder, "colbert").load()
