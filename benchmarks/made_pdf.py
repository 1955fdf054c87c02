"""Writes PDFs from lines of text, for tests and benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def pdf(
    pages: Sequence[Sequence[str]], *, title: str = "", author: str = "", toc: Mapping[str, int] | None = None
) -> bytes:
    """A PDF with lines of text on each page and bookmarks to pages (counted from 1)."""
    toc = toc or {}
    count = len(pages)
    outline = 4 + 2 * count
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(count))
    info = f"/Title ({title}) /Author ({author}) /CreationDate (D:20240131093000Z)"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R" + (f" /Outlines {outline} 0 R" if toc else "") + " >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, lines in enumerate(pages):
        shown = " ".join(f"({_pdf_text(line)}) Tj T*" for line in lines)
        stream = f"BT /F1 11 Tf 14 TL 50 780 Td {shown} ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * at} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    if toc:
        first, last = outline + 1, outline + len(toc)
        objects.append(f"<< /Type /Outlines /First {first} 0 R /Last {last} 0 R /Count {len(toc)} >>")
        for at, (name, page) in enumerate(toc.items()):
            around = (f" /Prev {first + at - 1} 0 R" if at else "") + (
                f" /Next {first + at + 1} 0 R" if first + at < last else ""
            )
            target = f"/Dest [{4 + 2 * (page - 1)} 0 R /Fit]"
            objects.append(f"<< /Title ({_pdf_text(name)}) /Parent {outline} 0 R {target}{around} >>")
    objects.append(f"<< {info} >>")
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>"
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}\nstartxref\n{len(body)}\n%%EOF\n"
    return body + end.encode("latin-1")


def _pdf_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
