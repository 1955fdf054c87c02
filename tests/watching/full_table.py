"""A scheduler with too few watches; test_matrix runs this program in a namespace."""

from __future__ import annotations

import sys
from pathlib import Path

from watched import Watched


def main(root: Path) -> str:
    """Watch more directories than possible, change files in all of them, and print the state."""
    folder = root / "notes"
    for number in range(30):
        (folder / f"dir{number}").mkdir(parents=True)
    with Watched([folder], root / "store", polling=False) as one:
        one.settle()
        for number in range(30):
            (folder / f"dir{number}" / "file.md").write_text(f"file {number}\n")
        one.settle()
        assert any("watch" in sentence for sentence in one.told), one.told
        return one.scheduler.state.kind


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))  # noqa: T201  # what the test reads
