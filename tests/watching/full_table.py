"""A follower on a machine that gives too few watches: the program that test_matrix runs in a namespace of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from watched import Watched


def main(root: Path) -> str:
    """Follow more directories than can be watched, change files in all, and say how the follower saw it."""
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
