"""All the English of the page: fixed texts by name, and the sentences that depend on values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.formats.registry import REGISTRY, install_command
from kb.records import BY_BOTH, BY_MEANING, BY_WORDS, MODES, nothing_found
from kb.records.documents import SCANNED
from kb.records.wording import FILTER_PHRASES, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kb.records import Answer, Failure, Freshness, KnownFile, Missing, Mode, ReadAs, Reply, StoredPassage, Unmatched

TEXT: Final[Mapping[str, str]] = {
    "name": "kb",
    "skip": "Skip to the results",
    "skip_document": "Skip to the document",
    "find": "Find",
    "ask": "Ask",
    "tags": "Tags",
    "timeline": "Timeline",
    "map": "Map",
    "write": "Write",
    "status": "Status",
    "keys": "Keys",
    "views": "Views",
    "search_label": "Search your files",
    "search_hint": "Words, a question, or tag: path: type: since:",
    "mode": "Rank by",
    "mode_default": "default",
    "results": "Results",
    "results_by_words": "By words; meaning follows",
    "searching": "Searching",
    "filters": "Narrow down",
    "filters_clear": "Clear filters",
    "facet_folder": "Folder",
    "facet_type": "Type",
    "facet_tag": "Tag",
    "facet_lang": "Language",
    "facet_date": "Date",
    "since": "Since",
    "until": "Until",
    "apply": "Apply",
    "more_values": "more",
    "file_unit": "file",
    "files_unit": "files",
    "within_clear": "Search all files",
    "start_title": "What are you looking for?",
    "start": "Type a question or a few words. Results appear as you type.",
    "start_recent": "Recently changed",
    "score": "cosine",
    "score_none": "by words",
    "score_long": "Cosine of question and passage, from -1 to 1",
    "changed": "changed since it was indexed",
    "duplicates": "Also in",
    "embedded": "Embedded in",
    "more": "More results",
    "weak_show": "Show weak hits",
    "weak_hide": "Hide weak hits",
    "nearest": "The nearest passage",
    "named": "Files with this name:",
    "no_question": "The question has no words beside what it leaves out.",
    "narrowed": "The filters leave out other files.",
    "operators": "The operators of the question leave out other passages.",
    "words_alone": "Search for its words alone",
    "elsewhere": "Passages with the words of the question are not among these hits.",
    "weak": "No passage is near enough to be an answer.",
    "weak_shown": "No passage is near enough to be an answer: these are weak hits.",
    "by_words": "Rank by words",
    "by_both": "Rank by meaning and words",
    "by_meaning": "Rank by meaning",
    "document": "Document",
    "close": "Close",
    "close_document": "Close the document",
    "open_editor": "Open in editor",
    "copy_place": "Copy path:line",
    "copy_quote": "Copy as quote",
    "copied": "Copied",
    "opened": "Opened",
    "failed": "That did not work",
    "gone": "kb watch does not answer: what you see is out of date. Run kb web to start it.",
    "ended": "The session has ended: what you see is out of date. Run kb web, which lets this browser in again.",
    "hits_here": "Hits in this document",
    "hit_previous": "Previous hit",
    "hit_next": "Next hit",
    "outline": "Outline",
    "links_to": "Links to",
    "links_from": "Linked from",
    "similar": "Similar files",
    "find_similar": "Find similar files",
    "earlier": "Earlier lines",
    "later": "Later lines",
    "part": "This document is long: a part of it is shown.",
    "page": "Page",
    "page_previous": "Previous page",
    "page_next": "Next page",
    "page_text": "Text of this page",
    "image": "image",
    "image_not_shown": "An image that is missing, elsewhere, or of a kind that is not shown",
    "go": "Go",
    "ask_label": "Ask your files",
    "ask_hint": "A question in your own words",
    "ask_start": "The sentences that answer your question best, in the words of your files.",
    "ask_none": "Nothing in your files is near enough to be an answer.",
    "ask_find": "See all passages",
    "ask_sources": "Sources",
    "tags_title": "Tags",
    "tags_by_name": "By name",
    "tags_by_count": "By number of files",
    "tags_sort": "Order",
    "tags_none": "No file has a tag.",
    "timeline_title": "Timeline",
    "timeline_none": "No file passes these filters.",
    "timeline_about": "Files by their own date, else by their last change. Choose a year or a month to see its files.",
    "timeline_years": "Years",
    "graph_open": "Graph of links",
    "graph_title": "Links around",
    "graph_one": "One link away",
    "graph_two": "Two links away",
    "graph_steps": "Show files",
    "graph_to": "It links to",
    "graph_to_far": "Two links from it",
    "graph_from": "They link to it",
    "graph_from_far": "Two links to it",
    "graph_none": "No file links to it, and it links to none.",
    "graph_by": "by",
    "map_title": "Map",
    "map_about": "Files that are near in meaning lie near one another. The words name what sets each group apart.",
    "map_canvas": "Map of your files. Arrows go from file to file, plus and minus zoom, s selects what is in view.",
    "map_colour": "Colour by",
    "map_colour_folder": "folder",
    "map_colour_tag": "tag",
    "map_colour_age": "age",
    "map_zoom_in": "Zoom in",
    "map_zoom_out": "Zoom out",
    "map_whole": "Whole map",
    "map_select": "Select an area",
    "map_select_view": "Select what is in view",
    "map_selected": "selected",
    "map_clear": "Clear the selection",
    "map_within": "Search the selected files",
    "map_within_hint": "Search them; leave empty to list them",
    "map_groups": "Groups",
    "map_all_groups": "All groups",
    "map_list": "List them",
    "map_on_map": "Select on the map",
    "map_key": "Colours",
    "map_no_script": "The drawing needs scripts. The groups are listed here.",
    "map_other": "other",
    "map_untagged": "no tag",
    "map_top": "no folder",
    "map_ages": "this week|this month|this year|three years|older",
    "map_none": "There is nothing to draw yet.",
    "key_map": "Map: next file in that direction",
    "key_map_pan": "Map: move the map",
    "key_map_zoom": "Map: zoom in, zoom out, whole map",
    "key_map_select": "Map: select what is in view, clear the selection",
    "key_map_read": "Map: read the chosen file",
    "remove_filter": "Remove this filter",
    "note_title": "Title",
    "note_title_hint": "Its first line, if you leave this empty",
    "note_tags": "Tags",
    "note_tags_hint": "Separated by spaces or commas",
    "note_text": "Text",
    "note_text_hint": "Markdown",
    "note_save": "Save note",
    "note_about": "A new file, dated, in your first folder. Nothing else changes a file here.",
    "note_saved": "The note is saved and indexed",
    "note_saved_only": "The note is saved; it is indexed in a moment",
    "note_open": "Open it",
    "note_another": "Write another note",
    "note_empty": "The note is empty; nothing was saved.",
    "status_index": "Index",
    "status_daemon": "Daemon",
    "status_problems": "Files that could not be indexed",
    "status_partly": "Files read only in part",
    "status_held": "Missing files that are kept until that is confirmed",
    "status_held_remedy": "If they are meant to be gone: kb index --accept-deletions",
    "status_errors": "Messages of the daemon",
    "status_set_aside": "Damaged parts that were set aside",
    "status_fine": "All files are indexed.",
    "status_run": "Indexing",
    "keys_title": "Keys",
    "key_search": "Go to the search field",
    "key_move": "Next and previous result",
    "key_enter": "Read the chosen result",
    "key_open": "Read the chosen result alone, without the list",
    "key_editor": "Open the document in your editor",
    "key_hits": "Next and previous hit in the document",
    "key_copy": "Copy path:line of the document",
    "key_escape": "Close the document, or leave the field",
    "key_help": "This list",
    "error_title": "That did not work",
    "back": "Back to the search",
    "wrong_host": "This address is not served here. Open the page by the link that kb web prints.",
    "other_page": "Requests from other pages are refused.",
    "no_session": "This browser has no session. Run kb web, whose link opens one, then load this address again.",
    "used_link": "This link was used already, or is too old. Run kb web for a new one.",
    "not_found": "There is no such page.",
    "not_allowed": "This address does not take this method.",
}
FILTER_LABELS: Final = {
    "path": "folder:",
    "tag": "tag:",
    "type": "type:",
    "lang": "language:",
    "since": "since",
    "until": "until",
}
MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WITHOUT_MEANING: Final = [mode for mode, traits in MODES.items() if not traits.by_meaning]
MODE_LABELS: Final = {mode.value: traits.ranks_by for mode, traits in MODES.items()}


def within_line(files: int) -> str:
    """Return that only some selected files are searched."""
    return f"Only {count(files, 'selected file')}"


def where(passage: StoredPassage) -> str:
    """Return where in its file a passage is: its lines, or its place such as a page or slide."""
    lines = (
        f"line {passage.first_line}"
        if passage.first_line == passage.last_line
        else f"lines {passage.first_line}-{passage.last_line}"
    )
    return ", ".join(filter(None, (lines, passage.place))) if passage.exact else passage.place or lines


def results_line(answer: Answer) -> str:
    """Return how many hits there are, and what they are ranked by."""
    if answer.mode == "similar":
        return f"{count(len(answer.hits), 'similar passage')}"
    ranks = MODE_LABELS.get(answer.mode, answer.mode)
    return f"{count(len(answer.hits), 'passage')}, ranked by {ranks}"


def tags_line(tags: int, files: int) -> str:
    """Return how many tags there are, and in how many files."""
    return f"{count(tags, 'tag')} in {count(files, 'file')}"


def left_out_line(number: int) -> str:
    """Return that some files are not drawn and listed; empty if all are."""
    return f"{count(number, 'more file')} not shown" if number else ""


def group_name(words: Sequence[str], number: int) -> str:
    """Return the name of a group of files: its distinctive words, else its number from 0 on."""
    return ", ".join(words) or f"group {number + 1}"


def map_lines(work: str, problem: str, missing: int) -> Iterator[str]:
    """Yield what there is to say about the map: what is being done, what went wrong, and what is not on it."""
    if work == "making":
        yield "The map is being made. It appears here in a moment."
    elif work == "placing":
        yield "New files are being put on the map."
    if problem:
        yield f"The map could not be made: {problem}"
    if missing and not work:
        verb = "is" if missing == 1 else "are"
        yield f"{count(missing, 'file')} {verb} not on the map: without text, or not embedded yet."


def read_as_lines(read: ReadAs) -> Iterator[str]:
    """Yield how a question with operators was read."""
    for one in read.phrases:
        yield f"only passages with “{one}”"
    for one in read.filters:
        yield f"only files with {one}"
    for one in read.without:
        out = read.left_out
        passages = f" ({count(out.passages, 'passage')} left out)" if out else ""
        yield f"no passages with {one}{passages}"
    for one in read.as_words:
        yield f"{one} was read as words"
    if read.asked:
        searched = read.asked
        yield f"searched: {count(searched.passages, 'passage')} in {count(searched.files, 'file')}"


def unmatched_lines(unmatched: Iterable[Unmatched]) -> Iterator[str]:
    """Yield a sentence for each value of a filter that matches no file."""
    for one in unmatched:
        near = ", ".join(one.near[:12])
        more = (f" Did you mean {near}?" if one.similar else f" There is {near}.") if near else ""
        yield f"No file {FILTER_PHRASES[one.filter]} {one.value}.{more}"


def below_line(answer: Answer) -> str:
    """Return how many hits were left out as weak; empty if none were."""
    if not answer.below:
        return ""
    verb = "is" if answer.below == 1 else "are"
    return f"{count(answer.below, 'more hit')} {verb} no nearer than unrelated passages."


def unfamiliar_line(answer: Answer) -> str:
    """Return that the model does not know the language of the hits; empty if it does."""
    code = answer.unfamiliar
    return f"The model does not know this language ({code}): its cosines mean little there." if code else ""


def parts_line(answer: Answer) -> str:
    """Return that a question was too long for the model at once; empty if it was not."""
    return f"The question is long: it was embedded in {answer.parts} parts." if answer.parts > 1 else ""


def missing_line(missing: Missing | None) -> str:
    """Return which files an answer does not cover; empty if it covers all."""
    if not missing:
        return ""
    facts = [
        (missing.held, "missing from disk"),
        (missing.waiting, "waiting to be indexed"),
        (missing.failed, "that could not be indexed"),
    ]
    listed = ", ".join(f"{count(number, 'file')} {what}" for number, what in facts if number)
    return f"Not searched: {listed}"


def freshness_line(index: Freshness) -> str:
    """Return what waits to be indexed or embedded; empty if nothing does."""
    if index.as_of is None:
        return "The index is being made: answers are incomplete"
    facts = [f"{count(index.pending, 'change')} waiting to be indexed"] if index.pending else []
    if index.words_only:
        facts.append(f"{index.by_meaning:,} of {count(index.files, 'file')} by meaning, all by words")
    if index.without_server:
        facts.append(index.without_server)
    return "; ".join(facts)


def remedies(problems: Sequence[Failure]) -> Iterator[str]:
    """Yield what would have files read that could not be."""
    for extra in REGISTRY.extras:
        command = install_command(extra)
        if lacking := sum(command in one.reason for one in problems):
            yield f"{count(lacking, 'file')} could be read after {command}"
    scans = sum(SCANNED in one.reason or one.reason.startswith(REGISTRY.scanned) for one in problems)
    if scans:
        yield f"{count(scans, 'scan')} could be searched with Tesseract installed and documents.ocr = true"


def asked_line(reply: Reply) -> str:
    """Return which language model answered, where, and what of its answer was dropped; empty where none was asked."""
    if not reply.model:
        return ""
    where_asked = f" at {reply.sent_to}" if reply.sent_to else ""
    dropped = (
        f"; {count(reply.dropped, 'sentence')} dropped, whose quotes are not in the files" if reply.dropped else ""
    )
    return f"Answered by {reply.model}{where_asked}{dropped}"


def by_mode(answer: Answer) -> tuple[Mode, str] | None:
    """Return the mode that may find more, and the name of the text for its link; None where none would."""
    if answer.elsewhere or answer.unfamiliar:
        return (BY_BOTH, "by_both") if answer.mode != BY_BOTH else (BY_WORDS, "by_words")
    if not answer.hits and not answer.weak and answer.mode in _WITHOUT_MEANING:
        return BY_MEANING, "by_meaning"
    return None


def nothing_line(answer: Answer) -> str:
    """Return that nothing was found, as the mode says it."""
    said = nothing_found(answer.mode)
    return f"{said[0].upper()}{said[1:]}."


def quote_of(file: KnownFile, text: str, place: str) -> str:
    """Return a passage as a Markdown quotation with its source."""
    quoted = "\n".join(f"> {line}".rstrip() for line in text.strip("\n").split("\n"))
    return f"{quoted}\n>\n> {file.title or file.path} ({place})\n"


def size(number: int) -> str:
    """Return a number of bytes in the largest unit that fits."""
    value = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1_000 or unit == "GB":  # noqa: PLR2004 - decimal units
            break
        value /= 1_000
    return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:,.1f} {unit}"  # noqa: PLR2004
