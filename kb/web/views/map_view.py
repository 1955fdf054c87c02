"""Map: all files by nearness in meaning, drawn by a script, and listed in groups."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route

from kb.api.codec import encode
from kb.errors import RequestError
from kb.search.filters import day_of
from kb.web.documents.read import place_address
from kb.web.query import Query
from kb.web.results import PlaceLink, shown_path
from kb.web.text import TEXT, group_name, map_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from kb.records import KnownFile
    from kb.web.context import ViewContext
    from kb.web.map.maker import MapState
    from kb.web.viewed import Viewed

_LISTED: Final = 1_000
_EXAMPLES: Final = 3
# As many colours can be told apart.
_COLOURS: Final = 9
_OTHER: Final = -1


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of this view."""
    view = _MapView(context)
    return [Route("/map", context.view(view.page)), Route("/map/files", context.view(view.files))]


@dataclass(frozen=True, slots=True)
class Group:
    """A group of files as it is listed.

    Attributes:
        number: Its number, from 0 on.
        name: Its distinctive words.
        count: How many files it has.
        address: The address of the list of all of them.
        examples: Some of them.
    """

    number: int
    name: str
    count: int
    address: str
    examples: tuple[PlaceLink, ...]


class _MapView:
    def __init__(self, context: ViewContext) -> None:
        self._context = context

    async def page(self, request: Request) -> Response:
        """The map, or with ``group`` the files of a group; with ``part`` only the list."""
        query = Query.of(request.scope["query_string"]).only_filters()
        group = request.query_params.get("group", "")

        def work(kb: Viewed) -> dict[str, Any]:
            files = kb.documents()
            state = self._context.map.state(kb, files)
            listed = _in_groups(files, state)
            missing = len(files) - sum(map(len, listed))
            values = {"lines": tuple(map_lines(state.work, state.problem, missing)), "work": state.work}
            if group:
                return values | self._group(state, listed, group)
            return values | {"groups": self._groups(state, listed), "group": None, "members": (), "ids": ""}

        values = await self._context.ask(request, work)
        template = "map_list.html" if request.query_params.get("part") else "map.html"
        return self._context.page(template, query=query, **values)

    async def files(self, request: Request) -> Response:
        """What the script draws, as JSON; lists of the same length have one value for each file."""

        def work(kb: Viewed) -> bytes:
            files = kb.documents()
            return encode(self._drawn(files, self._context.map.state(kb, files)))

        data = await self._context.ask(request, work)
        return Response(data, headers={"cache-control": "no-store"}, media_type="application/json")

    def _groups(self, state: MapState, listed: Sequence[Sequence[KnownFile]]) -> list[Group]:
        found = []
        for number, files in enumerate(listed):
            if not files or state.map is None:
                continue
            examples = tuple(self._place(one) for one in files[:_EXAMPLES])
            name = group_name(state.map.clusters[number], number)
            found.append(Group(number, name, len(files), f"/map?group={number}", examples))
        return sorted(found, key=lambda one: -one.count)

    def _group(self, state: MapState, listed: Sequence[Sequence[KnownFile]], number: str) -> dict[str, Any]:
        """What the template takes to list one group.

        Raises:
            RequestError: There is no such group.
        """
        at = next((at for at, files in enumerate(listed) if files and str(at) == number), None)
        if state.map is None or at is None:
            raise RequestError("there is no such group on the map", "Choose one of the list")
        files = sorted(listed[at], key=lambda one: (one.title or one.path).casefold())
        group = Group(at, group_name(state.map.clusters[at], at), len(files), f"/map?group={at}", ())
        members = [self._place(one) for one in files[:_LISTED]]
        return {"groups": (), "group": group, "members": members, "ids": ",".join(str(one.id) for one in files)}

    def _place(self, file: KnownFile) -> PlaceLink:
        return PlaceLink(file.title or shown_path(file, self._context.folders()), place_address(Query(), file))

    def _drawn(self, files: Sequence[KnownFile], state: MapState) -> dict[str, Any]:
        folders = self._context.folders()
        known = {} if state.map is None else state.map.files
        on_map = [(one, known[one.id]) for one in files if one.id in known]
        roots = sorted({one.folder for one, _ in on_map})
        top = [path.partition("/")[0] if "/" in (path := shown_path(one, folders)) else "" for one, _ in on_map]
        folder_names = [name for name, _ in Counter(top).most_common(_COLOURS)]
        tag_names = [name for name, _ in Counter(tag for one, _ in on_map for tag in one.tags).most_common(_COLOURS)]
        by_folder = {name: at for at, name in enumerate(folder_names)}
        by_tag = {name: at for at, name in enumerate(tag_names)}
        by_root = {name: at for at, name in enumerate(roots)}
        return {
            "work": state.work,
            "ids": [one.id for one, _ in on_map],
            "x": [at.x for _, at in on_map],
            "y": [at.y for _, at in on_map],
            "group": [at.cluster for _, at in on_map],
            "folder": [by_folder.get(name, _OTHER) for name in top],
            "tag": [next((by_tag[tag] for tag in one.tags if tag in by_tag), _OTHER) for one, _ in on_map],
            "day": [day_of(one).isoformat() for one, _ in on_map],
            "title": [one.title for one, _ in on_map],
            "path": [one.path for one, _ in on_map],
            "root": [by_root[one.folder] for one, _ in on_map],
            "roots": roots,
            "folders": [name or TEXT["map_top"] for name in folder_names],
            "tags": tag_names,
            # Names that are no text in UTF-8 cannot be written by a script.
            "odd": {
                str(at): place_address(Query(), one)
                for at, (one, _) in enumerate(on_map)
                if not _is_text(one.path) or not _is_text(one.folder)
            },
            "groups": [] if state.map is None else [", ".join(words[:2]) for words in state.map.clusters],
        }


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_groups(files: Sequence[KnownFile], state: MapState) -> list[list[KnownFile]]:
    if state.map is None:
        return []
    listed: list[list[KnownFile]] = [[] for _ in state.map.clusters]
    for file in files:
        if placed := state.map.files.get(file.id):
            listed[placed.cluster].append(file)
    return listed
