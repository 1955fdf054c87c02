"""The command ``kb index``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb.cli.command import command
from kb.cli.indexing import run_index
from kb.cli.options import json_option

if TYPE_CHECKING:
    from kb.cli.session import Session


@command(short_help="Update the index from the folders.")
@click.option("--full", is_flag=True, help="Read every file again; after a change of model, re-embed everything.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, without doing it.")
@click.option(
    "--accept-deletions",
    is_flag=True,
    help="Remove deleted files from the index even if most of a folder disappeared at once.",
)
@click.option("--take-over", is_flag=True, help="Take over a store that belongs to another configuration.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print no progress and no summary; failures are still reported.")
@click.pass_obj
def index(
    session: Session,
    *,
    full: bool,
    dry_run: bool,
    accept_deletions: bool,
    take_over: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Update the index: add new and changed files, remove deleted ones.

    A file that cannot be indexed is reported on standard error and skipped; the exit code is still 0. Ctrl-C stops
    between two batches with exit code 130, and the next run resumes from there.
    """
    return run_index(
        session,
        full=full,
        dry_run=dry_run,
        accept_deletions=accept_deletions,
        take_over=take_over,
        as_json=as_json,
        quiet=quiet,
    )
