"""A few files of each form that the page shows, hostile ones among them."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from made_documents import docx, notebook, pdf, xlsx

if TYPE_CHECKING:
    from pathlib import Path

HUB: Final = """---
tags: [index, tools/backup]
date: 2025-03-04
---
# Backups

Where the backups go: see [[restic]] and [the plan](plan.org#boxes) and [[nowhere]].

- [x] laptop
- [ ] server: restic copies the database every night

| tool | use |
|---|---|
| restic | the laptop, every night |
| borg | the server |

Euler: $e^{i\\pi} + 1 = 0$

![The dial](dial.png)

```python
def backup(path: str) -> None:
    print(path)
```
"""
HOSTILE: Final = """# Rotten fish

Rotten fish smells. <script>document.title = "owned"</script>

<svg onload="document.title='owned'"><script>document.title="owned"</script></svg>
<img src=x onerror="document.title='owned'">
<iframe src="/status"></iframe><object data="/status"></object>
<form action="/note" method="post"><input name="text"></form>
<a href="javascript:document.title='owned'">raw</a> [bad](javascript:alert(1)) [worse](data:text/html,x)
<style>body { display: none }</style><div style="position: fixed; inset: 0" class="bar toast">over everything</div>
<img src="http://127.0.0.1:9/tracked.png"> ![](https://example.invalid/tracked.png)
<base href="https://example.invalid/"><meta http-equiv="refresh" content="0; url=https://example.invalid/">
<a href="/open?key=x">session</a> <p id="results">clobbered</p>
<link rel="stylesheet" href="https://example.invalid/x.css"><video src="https://example.invalid/v.mp4"></video>

[[<img src=x onerror=alert(1)>|<b onclick=alert(1)>label</b>]]

```<script>alert(1)</script>
</code></pre><script>document.title = "owned"</script>
```
"""
BREAD: Final = """# Bread

Go to <a href="#sour-dough-1">the second</a>. Flour[^1] is described (https://example.org/flour_(wheat)).
<a href="https://example.org/own">https://example.org/own</a> and `https://example.org/code`

[^1]: Of wheat.

## Sour dough

![Build](https://example.org/badge.png) ![The oven](oven.png) <img src="gone.png">

## Sour dough
"""
PLAN: Final = """#+title: Moving plan
* TODO Book a van :home:
Call the /van rental/ before Friday. See [[file:hub.md][the hub]].
* Boxes
- kitchen
  - plates and glasses
- books
"""


def write_files(folder: Path) -> None:
    """Write the files into a new folder, and one beside it that nobody may see."""
    (folder / "code").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    texts = {
        "hub.md": HUB,
        "restic.md": "---\ntags: [tools]\ndate: 2024-05-06\n---\n# restic\n\nrestic encrypts its copies. Prune old "
        "snapshots weekly. See [[hub]].\n\n## Restore\n\nTo restore a file from a snapshot, mount the repository.\n",
        "hostile.md": HOSTILE,
        "plan.org": PLAN,
        "bread.md": BREAD,
        "wide.md": f"# Wide\n\n```\n{'a long line ' * 40}\n```\n\n| a | b |\n|---|---|\n| {'wide-cell' * 40} | b |\n",
        "twice.md": "# Twice\n\nSee [[brot]], and once more [[brot]].\n",
        "code/rank.py": '"""Ranks."""\n\n\ndef fused(scores: list[float]) -> float:\n    """The fused score."""\n'
        "    return sum(scores)\n",
        "ducks.csv": "name,colour\nmallard,green\nteal,brown\n",
        "letter.txt": "Dear Ada,\n\nthe harvest of apples was early this year.\n",
        "long.md": "# Long\n\n" + "".join(f"## Part {n}\n\nSentence {n} of the long document.\n\n" for n in range(60)),
        "brot.md": "# Brot\n\nDas Brot wird mit Sauerteig gebacken und ruht über Nacht im Kühlschrank, bevor es in den "
        "Ofen kommt.\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "dial.png").write_bytes(png(96, 24))
    (folder / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (folder / ".hidden" / "dial.png").write_bytes(png())
    (folder.parent / "secret.png").write_bytes(png())
    (folder.parent / "secret.md").write_text("# Secret\n\nthe password\n", "utf-8")
    (folder / "leak.png").symlink_to(folder.parent / "secret.png")
    (folder / "leak.md").symlink_to(folder.parent / "secret.md")
    for name, data in documents().items():
        (folder / name).write_bytes(data)


def documents() -> dict[str, bytes]:
    """Documents of other programs, by name."""
    pages = [
        ["The harbour report", "Ships arrive at the pier before noon."],
        ["The lighthouse keeper", "The lighthouse keeper counts gannets in the fog."],
        ["The last page"],
    ]
    return {
        "harbour.pdf": pdf(pages),
        "rigging.pdf": pdf([[f"Sentence {number} about the rigging of ships." for number in range(44)]]),
        "tides.ipynb": notebook(
            ("markdown", "# Tides\n\nHow **high** the water stands, see [[restic]]."),
            (
                "code",
                "def height(hour):\n    return 3 * hour\n\nprint(height(4))",
                "12 metres above zero of the chart",
            ),
            ("code", "'<script>alert(1)</script>'"),
        ),
        "cargo.xlsx": xlsx({"Cargo": {1: ["ship", "tons"], 2: ["Adler", 120], 3: ["Falke", 80]}}),
        "report.docx": docx([("Heading1", "Weather"), ("", "Storms are rare in June.")], title="Weather report"),
        "mail.eml": b"From: Ada <ada@example.org>\r\nTo: Bo <bo@example.org>\r\nSubject: Keys of the shed\r\n"
        b"Date: Mon, 3 Mar 2025 10:00:00 +0000\r\n\r\nThe keys hang behind the door. See\r\n"
        b"https://example.org/shed?a=1&b=2.\r\n",
    }


def png(width: int = 8, height: int = 8) -> bytes:
    """A grey picture."""
    body = zlib.compress((b"\0" + b"\x80" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
