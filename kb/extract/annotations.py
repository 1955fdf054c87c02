"""What is written on a page of a PDF and is not part of its text: values of forms, free text, notes and comments."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from kb.extract.clean import clean, line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypdfium2 import PdfDocument, PdfPage

_MOST: Final = 2_000
_LONGEST: Final = 1 << 20
# A box that is not ticked, a list in which nothing is chosen.
_NOTHING: Final = frozenset({"", "off"})


def written_on(document: PdfDocument, page: PdfPage) -> Iterator[str]:
    """The notes and values on a page, each as a paragraph, in the order of the file.

    Args:
        document: The document of the page, its forms made ready.
        page: A page of it.
    """
    import pypdfium2.raw as pdfium

    told = set()
    for at in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MOST)):
        annotation = pdfium.FPDFPage_GetAnnot(page, at)
        if not annotation:
            continue
        try:
            if pdfium.FPDFAnnot_GetFlags(annotation) & pdfium.FPDF_ANNOT_FLAG_HIDDEN:
                continue
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind == pdfium.FPDF_ANNOT_WIDGET:
                said = _value(document, annotation)
            elif kind in {pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP}:
                said = ""
            else:
                said = clean(_string(annotation, b"Contents")).strip()
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
        if said and said not in told:
            told.add(said)
            yield said


def _value(document: PdfDocument, annotation: object) -> str:
    """What is filled in at a field of a form, behind the field's name."""
    import pypdfium2.raw as pdfium

    form = document.formenv
    if form is None:
        value, name = _string(annotation, b"V"), _string(annotation, b"T")
        return f"{line(name)}: {line(value)}" if line(value) and name else line(value)
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in {pdfium.FPDF_FORMFIELD_PUSHBUTTON, pdfium.FPDF_FORMFIELD_SIGNATURE}:
        return ""
    if kind in {pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON} and not pdfium.FPDFAnnot_IsChecked(
        form, annotation
    ):
        return ""
    value = clean(_field(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)).strip()
    # What a reader is told of a field goes before what programs call it.
    name = line(_field(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation)) or line(
        _field(pdfium.FPDFAnnot_GetFormFieldName, form, annotation)
    )
    if value.lower() in _NOTHING:
        return ""
    return f"{name}: {value}" if name else value


def _string(annotation: object, key: bytes) -> str:
    import pypdfium2.raw as pdfium

    return _text(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, key, buffer, size))


def _field(function: object, form: object, annotation: object) -> str:
    return _text(lambda buffer, size: function(form, annotation, buffer, size))  # type: ignore[operator]


def _text(read: object) -> str:
    """A text that PDFium gives as UTF-16: asked for its size first."""
    import pypdfium2.raw as pdfium

    size = min(read(None, 0), _LONGEST)  # type: ignore[operator]
    if size <= 2:  # noqa: PLR2004 - the closing zero
        return ""
    buffer = ctypes.create_string_buffer(size)
    read(ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)  # type: ignore[operator]
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")
