"""Checks of the embedding model: its files, how it runs, whether it gives the right vectors, and the memory for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.config.schema import BY_NAME_ALONE
from kb.doctor.catalog_view import opened_catalog
from kb.doctor.finding import Plain, Remedy, Skipped, advice, failed, ok, warning
from kb.embedding.encoder import finds_gpu
from kb.embedding.fetch import ModelAbsent
from kb.embedding.onnx_files import export_folder, read_exports, read_failure
from kb.embedding.runtime import Wanted
from kb.embedding.spec import weight_files
from kb.embedding.verify import published_cosines
from kb.models import explained
from kb.system.memory import available_memory

if TYPE_CHECKING:
    from kb.doctor.case import Case
    from kb.doctor.finding import Finding

PROOF_SECONDS: Final = 180.0
_HALF: Final = frozenset({"float16", "bfloat16"})
_MEGABYTE: Final = 1_000_000
# Weights, what computing with them takes, and Python with its libraries.
_FACTOR: Final = 1.3
_BASE: Final = 300 * _MEGABYTE


def model(case: Case) -> Finding:
    """Whether the embedding model is on this machine, whole; nothing is fetched."""
    settings = case.settings
    name = _shown(settings.config.embed.model)
    try:
        encoder = case.configured_encoder
    except ModelAbsent as error:
        if settings.config.embed.offline:
            told = explained(error, settings)
            return failed("{reason}", advice(told.remedy), reason=told.message)
        return warning(
            "{model} is not on this machine; the next index run downloads it",
            case.command("model", "fetch"),
            model=name,
        )
    size = _weights(case)
    return ok("{model}, {dimension} numbers a vector", model=name, dimension=encoder.dimension).with_details(
        ("MB of weights", size // _MEGABYTE), ("files", str(encoder.located.directory))
    )


def _shown(name: str) -> str:
    """The name of a model; those that kb knows by name say nothing about the user."""
    return Plain(name) if name in BY_NAME_ALONE else name


def _weights(case: Case) -> int:
    """The bytes of the weights that are loaded."""
    return sum(file.stat().st_size for file in weight_files(case.encoder.located.directory))


def runtime(case: Case) -> Finding:
    """Whether the library that is configured to run the model is there, and no export to ONNX has failed."""
    choice = case.encoder.choice()
    ways = case.settings.config.embed
    if choice.export is None and (failure := read_failure(case.encoder.located, case.encoder.models)):
        return warning(
            "{library}, since the export to ONNX failed ({why})",
            Remedy(case.command("model", "export"), after=", which tries again; or set embed.runtime to torch"),
            library=Plain(choice.runtime),
            why=failure,
        )
    return ok("{library} ({why})", library=Plain(choice.runtime), why=Plain(choice.why)).with_details(
        ("embed.runtime", Plain(ways.runtime)), ("embed.device", Plain(ways.device))
    )


def precision(case: Case) -> Finding:
    """Whether the configured precision suits the device."""
    wanted = case.settings.config.embed
    gpu = finds_gpu(Wanted(wanted.runtime, wanted.device, wanted.precision, wanted.threads))
    if wanted.precision in _HALF and not gpu:
        return warning(
            "embed.precision is {precision}, and there is no GPU here: on a CPU that is slower and no better",
            advice("Set embed.precision to auto in the configuration"),
            precision=Plain(wanted.precision),
        )
    return ok("{precision}, {where}", precision=Plain(wanted.precision), where=Plain("a GPU" if gpu else "no GPU"))


def fingerprint(case: Case) -> Finding:
    """Whether the store was filled with the configured model: vectors of two models cannot be compared."""
    with opened_catalog(case) as view:
        stored, name = view.meta("fingerprint"), view.meta("model") or ""
    if stored is None or stored == case.encoder.fingerprint:
        return ok("the store was filled with the configured model")
    full = Remedy(case.command("index", "--full"), after=", which embeds everything with the configured model")
    if name == case.settings.config.embed.model:
        return failed(
            "the store was filled with other files or another precision of {model}",
            # Files that were damaged would fill the store with vectors that mean nothing.
            Remedy(full.command, "Put its files or embed.precision back; if the change is meant: ", full.after),
            model=_shown(name),
        )
    return failed(
        "the store was filled with {before}, and the configuration names {model}",
        Remedy(full.command, after=f"{full.after}; or set embed.model back"),
        before=_shown(name),
        model=_shown(case.settings.config.embed.model),
    )


def proof(case: Case) -> Finding:
    """Whether the model loads and gives the vectors that its authors published; its ONNX forms are whole."""
    if case.daemon.status is not None and case.daemon.status.get("state") != "starting":
        return ok("the daemon proved it when it loaded it")
    located = case.encoder.located
    for form in read_exports(export_folder(located)):
        if form.damaged():
            return failed(
                "the files of its ONNX form in {form} are damaged",
                f"{case.command('model', 'export')}{' --int8' if form.form == 'int8' else ''}",
                form=Plain(form.form),
            )
    where = case.encoder.load()
    found = published_cosines(case.encoder, located)
    if found.good is False:
        return failed(
            "it loads by {where} and gives other vectors than its authors published ({cosines})",
            Remedy(case.command("model", "verify"), after=", which looks at each part"),
            where=Plain(where), cosines=Plain(found.told),
        )  # fmt: skip
    told = "its published cosines are met" if found.good else "no cosines were published for it"
    return ok("loads by {where}; {told}", where=Plain(where), told=Plain(told))


def memory(case: Case) -> Finding:
    """Whether there is memory for the model."""
    available = available_memory()
    if available is None:
        raise Skipped("this system does not say how much memory is available")
    values = {"available": available // _MEGABYTE}
    if case.daemon.status is not None:
        return ok("{available:,} MB are available; the daemon has loaded the model", **values)
    needed = int(_weights(case) * _FACTOR) + _BASE
    if available < needed:
        return warning(
            "{available:,} MB are available, and the model takes about {needed:,} MB",
            Remedy("kb model use all-MiniLM-L6-v2 && kb index --full", "End other programs, or use a smaller model: "),
            needed=needed // _MEGABYTE,
            **values,
        )
    return ok("{available:,} MB are available, {needed:,} MB needed", needed=needed // _MEGABYTE, **values)
