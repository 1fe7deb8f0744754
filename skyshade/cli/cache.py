"""The command ``skyshade cache``: what was kept to be quick, and how to be rid of it."""

from __future__ import annotations

import time

import click

KINDS = {"columns": "columns of indexes, decoded", "indexes": "indexes of bare catalogues"}


@click.group("cache")
def cache_command() -> None:
    """List or clear what skyshade keeps on disk to be quick; all of it can be made again."""


@cache_command.command("list")
def list_command() -> None:
    """List what is kept, the least used first."""
    from skyshade.storage.cache_folder import CacheFolder

    cache = CacheFolder()
    entries = cache.entries()
    for entry in entries:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        click.echo(f"{in_units(entry.bytes):>10}  {day}  {entry.kind}/{entry.name}")
    total = in_units(sum(entry.bytes for entry in entries))
    click.echo(f"{total} of at most {in_units(cache.max_bytes)} in {cache.root}")


@cache_command.command("clear")
@click.option("--kind", type=click.Choice(sorted(KINDS)), help="Only this; everything by default.")
def clear_command(kind: str | None) -> None:
    """Remove what is kept; servers that use it go on."""
    from skyshade.storage.cache_folder import CacheFolder

    cache = CacheFolder()
    freed = cache.clear(None if kind is None else [kind])
    click.echo(f"Removed {in_units(freed)} from {cache.root}")


def in_units(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
