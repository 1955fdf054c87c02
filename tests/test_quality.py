"""Does kb find what people ask for: judged collections against one vector a document, with the bundled model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from benchmarks.__main__ import DATA_VARIABLE, data_folder
from benchmarks.bench import Bench
from benchmarks.quality import BASELINES, measure

if TYPE_CHECKING:
    from pathlib import Path

# Looked up before any test: the tests run without the variables that configure kb, and this one begins like those.
DATA = data_folder(None, os.environ.get(DATA_VARIABLE))

pytestmark = [pytest.mark.quality, pytest.mark.timeout(3000)]


@pytest.mark.parametrize("name", BASELINES)
def test_passages_find_a_file_at_least_as_well_as_whole_documents(name: str, tmp_path: Path) -> None:
    """The nDCG@10 by file is not below that of the same model with one vector for each document."""
    collection = Bench(tmp_path, DATA).collection(name)
    if collection is None:
        pytest.skip(f"the collection {name} is not here; ${DATA_VARIABLE} names the folder it is in")

    found = measure(str(collection.docs.parent), str(tmp_path / "store"), threads=0)

    assert round(found, 3) >= BASELINES[name]
