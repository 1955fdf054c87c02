"""Run by the Python of another environment: index documents with txtai, ask questions, print the rankings as JSON."""

from __future__ import annotations

import json
import sys

if __name__ == "__main__":
    from txtai import Embeddings  # type: ignore[import-not-found]  # in that environment only

    task = json.load(sys.stdin)
    names = list(task["documents"])
    embeddings = Embeddings(path=task["model"], hybrid=True)
    embeddings.index((number, task["documents"][name], None) for number, name in enumerate(names))
    rankings = {
        id_: [names[int(number)] for number, _ in embeddings.search(question, task["depth"])]
        for id_, question in task["questions"].items()
    }
    print(json.dumps(rankings))
