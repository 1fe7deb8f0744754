"""Arithmetic of a catalogue's columns as a layer: ``bt - vt``, of the means in every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from skyshade.geometry.mirror import mirrored
from skyshade.layers.catalog_drawn import DrawnCatalog
from skyshade.layers.catalog_info import sample_window
from skyshade.layers.expression import parse_expression
from skyshade.layers.program import evaluate, units_of
from skyshade.layers.reductions import Reduction
from skyshade.layers.stats import scale_of, statistics_of
from skyshade.types import Aggregate, AnyArray, LayerInfo, Quality, Statistics, Style, Window

if TYPE_CHECKING:
    from skyshade.layers.catalog import CatalogLayer

ENGINE = "formula-1"
FORMULA = "formula"  # name of its reduction


def of_rows(reduction: Reduction, columns: Sequence[AnyArray]) -> AnyArray:
    """Return a formula for rows; `columns` are those of ``reduction.columns``, in order."""
    program: Any = reduction.canvas
    return evaluate(program, lambda i: np.asarray(columns[i], np.float64))


class FormulaLayer(DrawnCatalog):
    """A formula of the columns of a catalogue.

    In a pixel it is taken of the columns' means there: for sums and differences that is the mean of
    the rows' own values, where no value is missing.

    Parameters
    ----------
    base : CatalogLayer
    text : str
        E.g. ``"bt - vt"``; see `skyshade.layers.expression`.

    Raises
    ------
    InputError, UnknownNameError
        When it cannot be read; the message names the position.
    """

    def __init__(self, base: CatalogLayer, text: str) -> None:
        program, names = parse_expression(text, base.info.columns)
        super().__init__(base, f"{ENGINE}|{text}")
        self.text, self._program = text, program
        self.reduction = Reduction(FORMULA, "", names, program, text)

    def _of(self, base: CatalogLayer) -> FormulaLayer:
        return FormulaLayer(base, self.text)

    @property
    def info(self) -> LayerInfo:
        """Description of the catalogue, with what is shown of it."""
        info = self.base.info
        units = units_of(self._program, [self.units.get(n, "") for n in self.reduction.columns])
        return replace(info, quantity=self.text, units=units, style=Style(cmap="RdYlBu_r"))

    @mirrored
    def compute(self, window: Window) -> Aggregate:
        """Return the formula of the columns' means on a window."""
        parts = [
            self.base.select(reduction="mean", column=name).compute(window)
            for name in self.reduction.columns
        ]
        values = evaluate(self._program, lambda i: parts[i].values)
        others: list[Quality] = [part.quality for part in parts if part.quality != "exact"]
        quality = others[0] if others else "exact"
        return Aggregate(values, self.info.units, self.version, quality)

    @cached_property
    def _sample(self) -> AnyArray:
        values = self.compute(sample_window(self.info.coverage, self.view.level)).values
        return values[np.isfinite(values)]

    def statistics(self) -> Statistics:
        """Return statistics of the formula at the sampling level."""
        return statistics_of(self._sample, exact=True)

    def scale(self) -> float:
        """Return the power of two that value tiles are divided by."""
        return scale_of(self._sample)

    def value(self, ra: float, dec: float) -> float | None:
        """Return the formula around an ICRS position in degrees; None where there are no rows."""
        names = self.reduction.columns
        means = [self.base.select(reduction="mean", column=n).value(ra, dec) for n in names]
        numbers = [np.array(np.nan if m is None else m) for m in means]
        found = float(evaluate(self._program, lambda i: numbers[i]))
        return found if np.isfinite(found) else None
