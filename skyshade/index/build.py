"""Build an index out of core: sort chunks into runs, merge leaves, reduce the tree above.

An external sort. Its units (a chunk, a leaf, a tile above the leaves) are pure functions that write
files, so threads and the workers of a cluster run the same ones, a build that was killed goes on
where it was, and the bytes of an index depend on neither. (Dask's own shuffle would give up the
last two.) Memory is bounded by the rows of a chunk and of a leaf, whatever the size of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from skyshade.errors import DataError, InputError, SkyshadeError
from skyshade.index.facts import Tally
from skyshade.index.format import SAMPLE_ROWS, Segment
from skyshade.index.job import PART_BYTES, Job
from skyshade.index.leaves import LeafPart, make_leaf
from skyshade.index.memory import MAX_CATEGORIES, category_text, too_many
from skyshade.index.plan import Leaf, plan_leaves
from skyshade.index.pools import Pool
from skyshade.index.runs import Run, all_categories, make_run, run_units
from skyshade.index.tops import assemble, make_node, plan_nodes
from skyshade.index.work import RECIPE
from skyshade.kernels.dispatch import compile_all

Progress = Callable[[str, int, int], None]
Categories = dict[str, list[Any] | None]


def build_segment(
    job: Job,
    pool: Pool,
    progress: Progress | None = None,
    known: dict[str, list[str]] | None = None,
) -> tuple[Segment, Categories]:
    """Write the files of a segment; return its record and the values of columns with few.

    Parameters
    ----------
    job : Job
    pool : Pool
        Who does the work.
    progress : callable, optional
        Given ``"sort"``, ``"write"`` or ``"merge"``, and how much of how much is done.
    known : mapping of str to list, optional
        Names of the only categories that are allowed, because other segments are counted by them.

    Raises
    ------
    DataError
        There is no row with a valid position, or the tables change meanwhile.
    InputError
        A column has too many values to be counted by category; a disk is full.
    """
    compile_all()  # twins and loops add in another order: all bytes come from the loops
    _start(job)
    runs = _make_runs(job, pool, progress)
    rows, categories = sum(run.rows for run in runs), all_categories(runs)
    try:
        if rows == 0:
            raise no_rows(job, runs)
        asked = _asked(job, categories, known or {})
    except SkyshadeError:  # it would not get further the next time
        job.work.clear()
        raise
    job = replace(job, categories=asked, sampled=-(-rows // SAMPLE_ROWS))
    leaves = plan_leaves(job, runs, _leaf_rows(job, runs), pool)
    counted = _make_leaves(job, pool, leaves, progress)
    levels = plan_nodes(leaves)
    for level in levels:
        pool.run(make_node, job, level)
    assemble(job, leaves, [node for level in levels for node in level])
    segment = Segment(
        name=job.output.name,
        rows=rows,
        invalid=sum(run.invalid for run in runs),
        sampled=job.sampled,
        tally=counted,
        origin={name: version for name, version, _ in job.recipe.sources},
    )
    return segment, categories


def _start(job: Job) -> None:
    """Take up what an earlier build of the same left; clear away what another one did."""
    record = {"digest": job.recipe.digest, "segment": job.output.name}
    if job.work.record(RECIPE) != record:
        job.work.clear()
        job.work.write_record(RECIPE, record)


def _make_runs(job: Job, pool: Pool, progress: Progress | None) -> list[Run]:
    units = run_units(job)
    total, done = sum(u.stop - u.start for u in units), 0

    def count(unit: Any, _: Run) -> None:
        nonlocal done
        done += unit.stop - unit.start
        if progress is not None:
            progress("sort", done, total)

    return pool.run(make_run, job, units, count)


def _make_leaves(job: Job, pool: Pool, leaves: Sequence[Leaf], progress: Progress | None) -> Tally:
    total, done = sum(leaf.rows for leaf in leaves), 0
    rows = sum(leaf.rows for leaf in leaves if leaf.lattice == 0)

    def count(leaf: Leaf, _: LeafPart) -> None:
        nonlocal done
        done += leaf.rows
        if progress is not None:  # a row counts once, whatever the number of lattices
            progress("write", done * rows // total, rows)

    counted, last = Tally.empty(), -1
    parts = pool.run(make_leaf, job, leaves, count)
    for leaf, part in zip(leaves, parts, strict=True):
        if leaf.lattice:
            continue
        counted = counted.then(part.tally, last, part.first) if last >= 0 else part.tally
        last = part.last
    return counted


def _leaf_rows(job: Job, runs: Sequence[Run]) -> int:
    """Return how many rows a leaf may have; no fewer than make a tile be stored."""
    row_size = max(sum(run.size for run in runs) / sum(run.rows for run in runs), 1.0)
    return max(job.recipe.threshold, min(job.recipe.leaf_rows, int(PART_BYTES / row_size)))


def _asked(job: Job, found: Categories, known: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Return the values of the columns that are counted by category, None for unused names."""
    asked: dict[str, list[Any]] = {}
    for column in job.recipe.code_columns:
        values = found[column]
        if values is None:
            raise too_many(column, f"more than {MAX_CATEGORIES}")
        if column not in known:
            asked[column] = values
            continue
        named = {category_text(v): v for v in values}
        new = [name for name in named if name not in known[column]]
        if new:
            cause = f"the index counts {', '.join(known[column])}: build it anew"
            msg = f"column {column!r} has the new category {new[0]!r}; {cause}"
            raise InputError(msg)
        asked[column] = [named.get(name) for name in known[column]]
    return asked


def no_rows(job: Job, runs: Sequence[Run]) -> DataError:
    """Return the error that nothing can be indexed."""
    name = job.recipe.sources[0][0] if job.recipe.sources else "catalogue"
    invalid = sum(run.invalid for run in runs)
    if invalid:
        return DataError(name, f"none of its {invalid:,} rows has a valid position")
    return DataError(name, "it has no rows")
