"""The table of the checks, in the order in which they are run: what others need comes first."""

from __future__ import annotations

from typing import Final

from kb.doctor import (
    catalog,
    clients,
    clocks,
    configuration,
    daemon,
    folders,
    models,
    privacy,
    programs,
    question,
    server,
    service,
    store,
    watcher,
)
from kb.doctor.check import Check

_DEAD_DRIVE: Final = "A folder or the store may be on a drive or server that is away: bring it back, or unmount it"
_SLOW_SERVER: Final = "The Chroma server answers too slowly: see what keeps it busy, or what lies between"

CHECKS: Final[tuple[Check, ...]] = (
    Check("installation", programs.installation, "`pip install`, with what is missing"),
    Check("program", programs.program, "`export PATH=...`"),
    Check(
        "configuration",
        configuration.configuration,
        "`kb init FOLDER`; an editor, with file and line",
        stuck=_DEAD_DRIVE,
    ),
    Check("trust", configuration.trust, "`kb config --trust FILE`", needs=("configuration",), stuck=_DEAD_DRIVE),
    Check(
        "folders",
        folders.folders,
        "`mkdir`, `chmod`, `umount -l`, or `folders.paths`",
        needs=("trust",),
        stuck=_DEAD_DRIVE,
    ),
    Check("overlap", folders.apart, "`folders.paths`", needs=("trust",), stuck=_DEAD_DRIVE),
    Check("store", store.store, "`kb index`, `chmod`, or `store.path`", stuck=_DEAD_DRIVE),
    Check("disk", store.disk, "free some space", needs=("store",)),
    Check(
        "access",
        store.modes,
        "`chmod -R go-rwx` (`--fix`)",
        # A store.path that is not valid may be a folder of notes, whose modes are the user's own.
        needs=("configuration", "store"),
    ),
    Check("lock", daemon.lock, "`rm owner.json` (`--fix`)", needs=("store",)),
    Check("socket", daemon.socket_folder, "`chmod 700` (`--fix`)", needs=("store",)),
    Check(
        "daemon",
        daemon.daemon,
        "`kill`, `kb watch --background`; `rm` a dead socket (`--fix`)",
        needs=("lock", "socket"),
        seconds=30.0,
    ),
    Check("version", daemon.version, "`kb watch --stop && kb watch --background`", needs=("daemon",)),
    Check(
        "watcher",
        watcher.watcher,
        "`sudo sysctl fs.inotify.max_user_watches=...`",
        needs=("folders", "daemon"),
        stuck=_DEAD_DRIVE,
    ),
    Check("catalog", catalog.catalog, "`kb index`", needs=("store",), seconds=catalog.SECONDS),
    Check("checksums", catalog.checksums, "`kb index`", needs=("catalog",), seconds=catalog.SECONDS),
    Check("owner", catalog.claim, "`store.path`, or `kb index --take-over`", needs=("trust", "catalog")),
    Check("files", catalog.indexed, "`kb index`, `kb status --problems`", needs=("catalog",)),
    Check("permissions", folders.permitted, "`chmod -R u+rwX`", needs=("folders", "catalog"), stuck=_DEAD_DRIVE),
    Check("mounts", folders.mounted, "mount it, or `kb index --accept-deletions`", needs=("folders", "catalog")),
    Check("vectors", catalog.vectors, "`kb rebuild`", needs=("catalog",)),
    Check("headers", server.headers, "`chmod 600`, or `store.headers_file`", needs=("trust",), stuck=_DEAD_DRIVE),
    Check(
        "server",
        server.reachable,
        "`store.chroma`, `store.tenant`, `store.headers_file`",
        needs=("headers",),
        seconds=server.SECONDS,
        stuck=_SLOW_SERVER,
    ),
    Check(
        "collection",
        server.collection,
        "`kb index`, `kb rebuild`, `store.collection`",
        needs=("server", "catalog"),
        seconds=server.SECONDS,
        stuck=_SLOW_SERVER,
    ),
    Check("cache", catalog.embedding_cache, "`kb index`", needs=("store",), seconds=catalog.SECONDS),
    Check("leftovers", store.leftovers, "`kb rebuild`; `rm` (`--fix`)", needs=("lock",)),
    Check(
        "clocks",
        clocks.clocks,
        "`timedatectl set-ntp true`, `touch FILE`",
        needs=("folders", "catalog"),
        stuck=_DEAD_DRIVE,
    ),
    Check("model", models.model, "`kb model fetch`, `kb model use`", needs=("trust",)),
    Check("fingerprint", models.fingerprint, "`kb index --full`", needs=("model", "catalog")),
    Check("runtime", models.runtime, "`kb model export`, or `embed.runtime`", needs=("model",)),
    Check("precision", models.precision, "`embed.precision`", needs=("model",)),
    Check("memory", models.memory, "end other programs, or `kb model use`", needs=("model", "daemon")),
    Check(
        "proof",
        models.proof,
        "`kb model verify`, `kb model export`",
        needs=("runtime", "daemon"),
        seconds=models.PROOF_SECONDS,
    ),
    Check(
        "sandbox", privacy.sandbox, "`pip install --force-reinstall`", needs=("trust",), seconds=privacy.SANDBOX_SECONDS
    ),
    Check("telemetry", privacy.telemetry, "`export VARIABLE=VALUE`"),
    Check("extras", programs.extras, "`pip install 'localkb[EXTRA]'`", needs=("trust",)),
    Check("tesseract", programs.tesseract, "`apt install tesseract-ocr-LANGUAGE`", needs=("trust",)),
    Check(
        "service",
        service.service,
        "`kb watch --install-service` (`--fix`), `systemctl --user enable`",
        needs=("trust",),
    ),
    Check("clients", clients.clients, "`kb mcp install CLIENT`"),
    Check(
        "question",
        question.question,
        "`kb check --repair`",
        needs=("folders", "version", "checksums", "owner", "vectors", "cache", "fingerprint", "proof"),
        seconds=question.SECONDS,
    ),
)
