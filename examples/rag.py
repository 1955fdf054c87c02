"""Answers a question from the notes: search, a prompt with numbered sources, and the citations of the answer.

    python examples/rag.py "How do I restore a backup?"

The language model is a server with OpenAI's API, such as llama.cpp, Ollama or vLLM: OPENAI_BASE_URL is its address,
OPENAI_MODEL the name of the model. Without an address, the prompt is printed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from typing import TYPE_CHECKING

from kb import KnowledgeBase

if TYPE_CHECKING:
    from collections.abc import Callable

PROMPT = "Answer from these sources only, and cite them as [1]. If they do not say it, say so.\n\n{}\n\nQuestion: {}"


def answer(kb: KnowledgeBase, question: str, model: Callable[[str], str]) -> tuple[str, list[str]]:
    """Return the model's answer, and the sources that it cites as ``[number] path:line``."""
    hits = kb.search(question, limit=5).hits
    if not hits:
        return "Nothing in the notes is near this question.", []
    places = [f"{hit.passage.file.path}:{hit.passage.first_line}" for hit in hits]
    sources = [f"[{n}] {place}\n{hit.passage.text}" for n, (place, hit) in enumerate(zip(places, hits, strict=True), 1)]
    text = model(PROMPT.format("\n\n".join(sources), question))
    cited = sorted({int(n) for n in re.findall(r"\[(\d+)\]", text)} & set(range(1, len(hits) + 1)))
    return text, [f"[{n}] {places[n - 1]}" for n in cited]


def openai(prompt: str) -> str:
    """Have the server of OPENAI_BASE_URL complete a prompt; without one, return the prompt."""
    if not (url := os.environ.get("OPENAI_BASE_URL")):
        return prompt
    body = {"model": os.environ.get("OPENAI_MODEL", ""), "messages": [{"role": "user", "content": prompt}]}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    request = urllib.request.Request(f"{url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        return str(json.load(response)["choices"][0]["message"]["content"])


if __name__ == "__main__":
    with KnowledgeBase.open() as kb:
        kb.sync()
        text, citations = answer(kb, " ".join(sys.argv[1:]), openai)
    print(text, *citations, sep="\n")
