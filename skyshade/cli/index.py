"""The command ``skyshade index``: catalogues of any size, sorted by place beside their tiles."""

from __future__ import annotations

import re
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from skyshade.index.format import Manifest

SHARES = {"sort": (0.0, 0.5), "write": (0.5, 0.5)}  # where a step begins, and how long it is
VERBS = {"sort": "Sorting", "write": "Writing"}
EVERY = {True: 0.2, False: 15.0}  # seconds between two lines, on a terminal and elsewhere
LATELY = 30.0  # seconds that the rate is taken over
SEVERAL = {  # options, and what else is a value of theirs
    "--aggregate": re.compile(r"[^:]+(:(?!//)[^:]+)+"),
    "--grid": re.compile(r"[A-Za-z][A-Za-z0-9-]*"),
}
INTERRUPTED = 130  # exit code of a command that was stopped by Ctrl-C


class IndexCommand(click.Command):
    """A command whose ``--aggregate`` and ``--grid`` take several values, one after the other."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give each of the values its option."""
        return super().parse_args(ctx, spread_values(args))


def spread_values(args: Sequence[str]) -> list[str]:
    """Return arguments with ``--aggregate a:mean b:min`` as two options; files stay arguments."""
    found: list[str] = []
    option, first = "", False
    for arg in args:
        if option and not first and not arg.startswith("-") and SEVERAL[option].fullmatch(arg):
            found += [option] * (not Path(arg).exists())
        elif not first:
            option, first = (arg, True) if arg in SEVERAL else ("", False)
            found.append(arg)
            continue
        first = False
        found.append(arg)
    return found


@click.command("index", cls=IndexCommand)
@click.argument("catalogues", nargs=-1, required=True)
@click.option("--output", metavar="URL", required=True, help="Folder or fsspec URL of the index.")
@click.option(
    "--aggregate",
    metavar="COLUMN:REDUCTION,... ...",
    multiple=True,
    help="What tiles with many rows keep beside counts, e.g. vt:mean,std or type:category.",
)
@click.option("--columns", metavar="NAME,...", help="Columns to keep; all by default.")
@click.option("--ra", metavar="NAME", help="Column of right ascensions, when it is not guessed.")
@click.option("--dec", metavar="NAME", help="Column of declinations.")
@click.option(
    "--grid",
    "grids",
    metavar="ID ...",
    multiple=True,
    help="Other grids that planes are kept for, e.g. WebMercatorQuad; else they are approximate.",
)
@click.option("--append", is_flag=True, help="Add the rows to the index that is there.")
@click.option("--overwrite", is_flag=True, help="Replace the index that is there.")
@click.option(
    "--scheduler", metavar="URL", help="Work on this Dask cluster: tls://... or tcp://..."
)
@click.option(
    "--workers", type=click.IntRange(1), help="Threads.  [default: one a processor, up to 8]"
)
@click.option(
    "--work",
    metavar="DIR",
    help="Folder for intermediate files, about as large as the rows; emptied at the end.",
)
@click.option("--name", metavar="TEXT", help="Title of the index.")
def index_command(catalogues: tuple[str, ...], output: str, **options: Any) -> None:
    """Index CATALOGUES, so that a tile costs a tile whatever their size.

    All must have the same columns; patterns such as 'part-*.parquet' are allowed. When it is
    stopped, the same command goes on where it was.
    """
    from skyshade.atlas.indexing import index_catalog

    kept = options.pop("columns")
    shown = Shown()
    try:
        made = index_catalog(
            list(catalogues),
            output,
            columns=None if kept is None else [c.strip() for c in kept.split(",")],
            progress=shown.step,
            **options,
        )
    except KeyboardInterrupt:
        shown.end()
        click.echo("Stopped. The same command goes on where it was.", err=True)
        sys.exit(INTERRUPTED)
    finally:
        shown.end()
    click.echo(summary(made, output, shown.seconds))


class Shown:
    """Progress for people: a line that is written over on a terminal, else one now and then."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._seen: deque[tuple[str, float, int]] = deque([("", self._start, 0)])
        self._terminal = sys.stderr.isatty()
        self._open = False

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._start

    def step(self, step: str, done: int, total: int) -> None:
        """Tell how far a step is."""
        now = time.monotonic()
        rate = self._rate(step, now, done)
        if now - self._last < EVERY[self._terminal] and done < total:
            return
        self._last = now
        self._write(progress_line(step, done, total, rate))

    def _rate(self, step: str, now: float, done: int) -> float:
        """Return the rows a second of late: what an earlier run had done is there at once."""
        if self._seen[-1][0] != step:
            self._seen = deque([(step, self._seen[-1][1], 0)])
        self._seen.append((step, now, done))
        while len(self._seen) > 2 and now - self._seen[1][1] > LATELY:
            self._seen.popleft()
        _, then, before = self._seen[0]
        return (done - before) / max(now - then, 1e-9)

    def _write(self, line: str) -> None:
        if self._terminal:
            click.echo(f"\r{line}\x1b[K", nl=False, err=True)
            self._open = True
        else:
            click.echo(line, err=True)

    def end(self) -> None:
        """End the line."""
        if self._open:
            click.echo(err=True)
            self._open = False


def progress_line(step: str, done: int, total: int, rate: float) -> str:
    """Return a line of progress.

    Parameters
    ----------
    step : {"sort", "write"}
    done, total : int
        Rows.
    rate : float
        Rows a second in this step.
    """
    begin, share = SHARES[step]
    part = done / max(total, 1)
    left = (total - done) / max(rate, 1e-9)
    left += (1.0 - begin - share) / share * total / max(rate, 1e-9)
    percent = f"{100 * (begin + share * part):3.0f} %"
    rows = f"{VERBS[step]} {done:,} of {total:,} rows"
    return f"{percent}  {rows}, {rate:,.0f} rows/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"


def summary(made: Manifest, output: str, seconds: float) -> str:
    """Return the last words of a build."""
    added = made.segments[-1]
    lines = [f"Indexed {added.rows:,} rows in {duration(seconds)}: {output}"]
    if added.invalid:
        total = added.rows + added.invalid
        lines.append(f"{added.invalid:,} of {total:,} rows have no valid position.")
    if len(made.segments) > 1:
        lines.append(f"The index has {made.rows:,} rows in {len(made.segments)} segments.")
    lines.append(f"Show it: skyshade open {output}")
    return "\n".join(lines)
