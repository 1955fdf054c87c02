"""Checks of the Chroma server that keeps the vectors, where one is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.doctor.catalog_view import opened_catalog
from kb.doctor.finding import Plain, Remedy, advice, failed, ok, warning
from kb.errors import ChromaServerError, StoreError
from kb.server_index import STORE_ID, address_of
from kb.store.chroma import Pace
from kb.store.collection import DIMENSION_KEY
from kb.store.headers import VARIABLE, headers_from
from kb.store.lease import Lease, place_of
from kb.store.pairing import PairCheck
from kb.store.server import ChromaServer
from kb.store.server_generations import LEASE, PAIR_KEY, ServerGenerations
from kb.urls import is_this_machine, parse_url

if TYPE_CHECKING:
    from kb.doctor.case import Case
    from kb.doctor.catalog_view import CatalogView
    from kb.doctor.finding import Finding

SECONDS: Final = 60.0
_NO_SERVER: Final = "the store keeps the vectors itself"


def headers(case: Case) -> Finding:
    """Whether the headers for a Chroma server can be read, and by nobody else."""
    if not case.chroma:
        return ok(_NO_SERVER)
    file = case.settings.headers_file()
    try:
        found = headers_from(case.environ, file)
    except ChromaServerError as error:
        return failed("{reason}", advice(error.remedy), reason=error.message)
    if not found:
        return ok("none are sent")
    origin = f"${VARIABLE}" if case.environ.get(VARIABLE) else file
    return ok("{count} from {origin}", count=len(found), origin=origin)


def reachable(case: Case) -> Finding:
    """Whether a Chroma server that keeps the vectors answers, and has the tenant and the database."""
    if not case.chroma:
        return ok(_NO_SERVER)
    server = ChromaServer(address_of(case.settings, case.environ))
    try:
        version = server.version()
    except StoreError as error:
        return failed("{reason}", advice(error.remedy), reason=error.message)
    finally:
        server.close()
    parts = parse_url(server.address.url)
    details = [("interface", Plain(version)), ("scheme", Plain(parts.scheme))]
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        return warning(
            "{url} answers, and everything goes there unencrypted",
            advice("Use https, or a tunnel, and take store.unencrypted out of the configuration"),
            url=server.address.url,
        ).with_details(*details)
    return ok("{url} answers", url=server.address.url).with_details(*details)


def collection(case: Case) -> Finding:
    """Whether the collection on the server belongs to the catalog and is complete."""
    if not case.chroma:
        return ok(_NO_SERVER)
    server = ChromaServer(address_of(case.settings, case.environ))
    try:
        with opened_catalog(case) as view:
            return _compared(case, view, server, f"{server.address.collection}-")
    except StoreError as error:
        return failed("{reason}", advice(error.remedy), reason=error.message)
    finally:
        server.close()


def _compared(case: Case, view: CatalogView, server: ChromaServer, prefix: str) -> Finding:
    """How the collection on the server differs from the catalog."""
    live, name = len(view.with_vectors()), view.meta("generation")
    if not live and not name:
        return ok("none yet")
    there = server.found(prefix)
    record, pairing = _Record(view), PairCheck(lambda: view, lambda _: {})
    ServerGenerations(server, server.address, record, pairing, place=place_of(case.store)).refuse_foreign(there)
    found = next((one for one in there if one.name == name), None)
    if found is None or pairing.is_paired(str(found.marks.get(PAIR_KEY, ""))) is not True:
        what = "is not on the server" if found is None else "belongs to another catalog"
        return warning(
            f"the collection that the catalog names {what}",
            Remedy(case.command("index"), after=", which fills one from the cache"),
        )
    count, unsent = server.count(found.name), view.count_deferred()
    if unsent or not live <= count <= live + len(view.pending_ids()):
        return warning(
            "{count:,} vectors are on the server, of {live:,} passages; {unsent:,} changes wait to be sent",
            case.command("index"),
            count=count, live=live, unsent=unsent,
        )  # fmt: skip
    index = server.open(
        found,
        fingerprint=view.meta("fingerprint") or "",
        dimension=int(found.marks.get(DIMENSION_KEY, 0)),
        pace=Pace(),
    )
    if difference := pairing.difference(index, thoroughly=False):
        return failed(
            "the collection does not match the catalog: {difference}",
            Remedy(case.command("rebuild"), after=", which fills another from the cache"),
            difference=Plain(difference),
        )
    writer = Lease(server, f"{prefix}{LEASE}", place_of(case.store)).holder()
    return ok("{count:,} vectors", count=count).with_details(
        ("collection", name), ("kb that may write", writer or Plain("none"))
    )


class _Record:
    """What the catalog says of its generation. Implements ``kb.store.server_generations.GenerationCatalog``."""

    def __init__(self, view: CatalogView) -> None:
        self._view = view

    def generation(self) -> str | None:
        """The generation that the catalog names."""
        return self._view.meta("generation")

    def store_id(self) -> str:
        """The id of the catalog."""
        return self._view.meta(STORE_ID) or ""
