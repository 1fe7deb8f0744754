"""Every command: parse, call the library, print.

Heavy imports stand inside the functions, so that ``skyshade --help`` answers at once and a start
loads only what its files need.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skyshade import __version__
from skyshade.cli.cache import cache_command
from skyshade.cli.index import index_command
from skyshade.errors import SkyshadeError, one_line

if TYPE_CHECKING:
    import logging

    from skyshade.app.server import Server
    from skyshade.app.settings import Settings
    from skyshade.atlas.atlas import Atlas, Entry
    from skyshade.atlas.build import Opening

F = TypeVar("F", bound=Callable[..., Any])
DEMO = ("tycho2_counts.fits.fz", "tycho2_planes.fits", "tycho2_bright.parquet")
MADE = "auto"  # value of --token when skyshade is to make one
PATIENCE = 0.5  # seconds that the list of layers waits for more, once there is one
MANY_FILES = 65536


class Commands(click.Group):
    """The group of all commands; the boundary where errors become one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever goes wrong is one line, or a traceback with SKYSHADE_DEBUG."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except SkyshadeError as error:
            if _debug():
                raise
            raise click.ClickException(one_line(error)) from error
        except Exception as error:
            if _debug():
                raise
            text = f"{type(error).__name__}: {error} (SKYSHADE_DEBUG=1 shows where)"
            raise click.ClickException(one_line(text)) from error


class ServeCommand(click.Command):
    """A command with ``--token``, whose value may be left out even before a file name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare ``--token`` its value."""
        return super().parse_args(ctx, [_whole_token(args, i) for i in range(len(args))])


def _whole_token(args: Sequence[str], i: int) -> str:
    follows = args[i + 1] if i + 1 < len(args) else "-"
    bare = args[i] == "--token" and (follows.startswith("-") or Path(follows).exists())
    return f"--token={MADE}" if bare and "--" not in args[:i] else args[i]


def serving(command: F) -> F:
    """Add the options of a server."""
    options = (
        click.option(
            "--host",
            help="Address to listen on. Any but this machine's own gets a token link."
            "  [default: 127.0.0.1]",
        ),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            help="Port to listen on; 0 takes any free one.  [default: 8000]",
        ),
        click.option("--no-browser", is_flag=True, help="Do not open a browser window."),
        click.option(
            "--token",
            metavar="[TEXT]",
            help="Let only those in who know this token, for machines that others share."
            " Without TEXT, skyshade makes one.",
        ),
        click.option(
            "--allowed-host",
            "allowed_hosts",
            metavar="NAME",
            multiple=True,
            help="One more host name that requests may come for, e.g. that of a proxy.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def reading(command: F) -> F:
    """Add the options that say how files are read."""
    options = (
        click.option(
            "--ra", metavar="NAME", help="Column of right ascensions, when it is not guessed."
        ),
        click.option("--dec", metavar="NAME", help="Column of declinations."),
        click.option(
            "--all-sky",
            metavar="FRAME",
            help="Take pictures without WCS for plate carree maps of the whole sky in this frame,"
            " e.g. galactic.",
        ),
        click.option(
            "--max-decoded",
            metavar="BYTES",
            type=click.IntRange(1),
            help="Most bytes that a compressed file may become.  [default: 4 GiB]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="skyshade", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Show any sky map and any source catalogue at any zoom, in the browser."""
    if ctx.invoked_subcommand == index_command.name:
        _quieten()


main.add_command(index_command)
main.add_command(cache_command)


@main.command("open", cls=ServeCommand)
@click.argument("files", nargs=-1, required=True)
@serving
@reading
@click.option("--boxes", metavar="FILE", help="JSON file of highlight boxes.")
def open_command(files: tuple[str, ...], boxes: str | None, **options: Any) -> None:
    """Open FILES, maps and catalogues of any mix, in the browser."""
    _serve(files, _settings(options), options, boxes)


@main.command(cls=ServeCommand)
@serving
def demo(**options: Any) -> None:
    """Show the real data that come with skyshade."""
    _serve(demo_files(), _settings(options), options)


@main.command()
@click.argument("files", nargs=-1, required=True)
@reading
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of aligned lines.")
def info(files: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """List what FILES hold, one line a layer, without a server."""
    from skyshade.app.settings import Settings

    _quieten()
    _allow_many_files()
    settings = Settings.from_environ(max_decoded_bytes=options["max_decoded"])
    atlas = _opening(files, settings, options).run()
    if as_json:
        import json

        click.echo(json.dumps([_facts(entry) for entry in atlas.entries()], indent=2))
    else:
        _print_layers(atlas)
    if not any(entry.layer for entry in atlas.entries()):
        raise click.ClickException(_nothing(files))


@main.command()
def warm() -> None:
    """Compile all kernels once, ahead of the first start."""
    import compileall

    from skyshade.kernels.dispatch import compile_all

    compileall.compile_dir(Path(__file__).parents[1], quiet=2)  # where Python may not do so itself
    click.echo(f"Kernels are compiled ({compile_all():.1f} s).")


def demo_files() -> list[str]:
    """Return the paths of the data in the package."""
    return [str(Path(__file__).parents[1] / "data" / name) for name in DEMO]


def _settings(options: dict[str, Any]) -> Settings:
    from skyshade.app.settings import Settings

    token = options["token"]
    if token == MADE:
        import secrets

        token = secrets.token_urlsafe(24)
    return Settings.from_environ(
        host=options["host"],
        port=options["port"],
        token=token,
        allowed_hosts=options["allowed_hosts"] or None,
        max_decoded_bytes=options.get("max_decoded"),
    )


def _serve(
    files: Sequence[str], settings: Settings, options: dict[str, Any], boxes: str | None = None
) -> None:
    """Serve from the first layer on; the other files open meanwhile."""
    from skyshade.app.server import Server
    from skyshade.atlas.atlas import Atlas

    _quieten()
    _allow_many_files()
    server = Server(Atlas(), settings)
    server.bind()  # a port in use is told before files are read
    opening = _opening(files, settings, options, boxes, server)
    opening.start()
    if not opening.wait_first():
        raise click.ClickException(_nothing(files))

    def ready(url: str) -> None:
        show = not options["no_browser"] and _has_display()
        if opening.done:
            _tell(opening, url, show)
        else:
            _in_thread(_tell, opening, url, show)

    try:
        server.serve(ready)
    finally:
        opening.stop()


def _opening(
    files: Sequence[str],
    settings: Settings,
    options: dict[str, Any],
    boxes: str | None = None,
    server: Server | None = None,
) -> Opening:
    from skyshade.atlas.build import Opening
    from skyshade.atlas.items import How

    said = {name: options.get(name) for name in ("ra", "dec", "all_sky")}
    how = How(**said, max_decoded=settings.max_decoded_bytes)
    atlas, hold = (server.atlas, server.settled.wait) if server else (None, None)
    return Opening(files, how, boxes=boxes, on_reject=_warn, atlas=atlas, hold=hold)


def _tell(opening: Opening, url: str, show: bool) -> None:
    """List the layers, say where they are, and when the files are open that were not by then."""
    opening.wait_first(PATIENCE)
    shown = _print_layers(opening.atlas)
    click.echo(f"Skyshade is ready at {url}")
    if show:
        _show(url)
    if opening.done:
        return
    opening.wait()
    layers = sum(entry.layer is not None for entry in opening.atlas.entries())
    if layers > shown:
        click.echo(f"{layers:,} layers are open")


def _warn(entry: Entry) -> None:
    click.echo(f"Warning: {one_line(entry.reason)}", err=True)


def _nothing(files: Sequence[str]) -> str:
    what = "the file" if len(files) == 1 else f"any of the {len(files)} files"
    return f"nothing in {what} can be shown"


def _allow_many_files() -> None:
    """Raise the number of files that may be open at once, as far as the system lets us."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _print_layers(atlas: Atlas) -> int:
    """Print a line for each layer that is open; return how many there are."""
    layers = [entry.layer for entry in atlas.entries() if entry.layer]
    rows = [
        (i.id, i.kind, i.size or "-", i.projection or "-", one_line(i.units) or "-")
        for i in (layer.info for layer in layers)
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(5)] if rows else []
    for layer, row in zip(layers, rows, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
        for note in layer.info.notes:
            click.echo(f"    {one_line(note)}")
    return len(layers)


def _facts(entry: Entry) -> dict[str, Any]:
    from dataclasses import asdict

    facts = {} if entry.layer is None else asdict(entry.layer.info)
    return {**facts, "id": entry.id, "state": entry.state, "reason": entry.reason}


def _has_display() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _show(url: str) -> None:
    import webbrowser

    # some browsers' starters do not return until the browser is closed
    _in_thread(webbrowser.open, url)


def _in_thread(work: Callable[..., object], *args: object) -> None:
    import threading

    threading.Thread(target=work, args=args, daemon=True).start()


def _debug() -> bool:
    return os.environ.get("SKYSHADE_DEBUG", "") not in ("", "0")


def _quieten() -> None:
    """Show the library's warnings as single lines, and no warnings of other libraries."""
    import logging
    import warnings

    if _debug():
        logging.basicConfig(level=logging.INFO)
        return
    warnings.simplefilter("ignore")
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(_flatten)
    handler.setFormatter(logging.Formatter("Warning: %(message)s"))
    logging.getLogger("skyshade").addHandler(handler)


def _flatten(record: logging.LogRecord) -> bool:
    """Fold a traceback into the message; files that could not be opened are told by `_warn`."""
    if record.exc_info and record.module == "items":
        return False
    cause = f": {record.exc_info[1]}" if record.exc_info else ""
    record.msg, record.args = one_line(record.getMessage() + cause), ()
    record.exc_info = record.exc_text = None
    return True
