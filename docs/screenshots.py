"""Makes the pictures of docs/web.md: kb's own documentation, asked in Chromium.

.venv/bin/python docs/screenshots.py
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from kb.app import LocalKnowledgeBase

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
# In bytes: a page of documentation loads quickly.
MOST = 120_000
WIDE = {"width": 1000, "height": 520}
NARROW = {"width": 390, "height": 640}


def main() -> int:
    """Write all pictures; returns 1 where one is too large, or there is no browser."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "web")]
    from chromium import chromium
    from page_server import served
    from playwright.sync_api import sync_playwright

    from kb.app import LocalKnowledgeBase

    path = chromium()
    if not path:
        sys.stderr.write("no Chromium here: apt install chromium\n")
        return 1
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kb-pictures-") as temporary:
        notes = Path(temporary) / "notes"
        write_notes(notes)
        overrides = {
            "embed.model": "all-MiniLM-L6-v2",
            "embed.offline": "true",
            "folders.paths": f'["{notes}"]',
            "store.path": f"{temporary}/store",
        }
        with LocalKnowledgeBase.open(overrides=overrides) as kb:
            kb.index()
            kb.own(lambda: (True, 0))
            with served(kb) as page_server, sync_playwright() as driver:
                arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
                chrome = driver.chromium.launch(executable_path=path, args=arguments)
                page = chrome.new_page(viewport=WIDE)  # type: ignore[arg-type]  # a plain dict
                page.goto(page_server.page.new_link())
                sizes = {
                    name: shoot(page, kb, page_server.url, name, address) for name, address in views(notes).items()
                }
                chrome.close()
    for name, size in sizes.items():
        sys.stdout.write(f"{name}.png  {size:,} bytes\n")
    return int(max(sizes.values()) > MOST)


def write_notes(folder: Path) -> None:
    """Write what is asked: some pages of the documentation, the examples, and a made PDF file."""
    from page_files import write_files

    (folder / "kb").mkdir(parents=True)
    for name in ("notes", "search", "watching", "store", "privacy"):
        if (page := ROOT / "docs" / f"{name}.md").is_file():
            shutil.copy(page, folder / "kb")
    for example in (ROOT / "examples").iterdir():
        if example.is_file():
            shutil.copy(example, folder)
    made = folder.parent / "made" / "notes"
    write_files(made)
    for name in ("hub.md", "restic.md", "plan.org", "harbour.pdf", "cargo.xlsx", "dial.png"):
        shutil.copy(made / name, folder)


def views(notes: Path) -> dict[str, str]:
    """The views, by the names of their pictures."""

    def at(name: str) -> str:
        return f"/read?q={quote('where do the backups go')}&file={quote(str(notes / name))}"

    return {
        "find": "/?q=where+do+the+backups+go",
        "read": at("hub.md") + "&line=5",
        "pdf": f"/read?q=lighthouse+keeper&file={quote(str(notes / 'harbour.pdf'))}&line=",
        "ask": "/ask?q=what+copies+the+database+every+night",
        "tags": "/tags",
        "timeline": "/timeline",
        "graph": f"/graph?steps=2&file={quote(str(notes / 'hub.md'))}",
        "map": "/map",
        "write": "/note",
        "status": "/status",
        "dark": at("hub.md") + "&line=5",
        "narrow": "/?q=where+do+the+backups+go",
    }


def shoot(page: Page, kb: LocalKnowledgeBase, url: str, name: str, address: str) -> int:
    """Take a picture of a view, and return its size in bytes."""
    if address.endswith("line="):
        passages = kb.show("harbour.pdf").passages
        address += str(next(one.first_line for one in passages if "lighthouse" in one.text))
    page.emulate_media(color_scheme="dark" if name == "dark" else "light")
    page.set_viewport_size(NARROW if name == "narrow" else WIDE)  # type: ignore[arg-type]  # a plain dict
    page.goto(url + address)
    if name == "map":
        # It is made on the first visit; the list beside it comes last.
        page.locator("#map-canvas[data-files]:not([data-files='0'])").wait_for(timeout=120_000)
        page.locator("#map-list[data-work='']").wait_for(timeout=120_000)
    page.wait_for_timeout(300)
    file = PICTURES / f"{name}.png"
    page.screenshot(path=file)
    return file.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
