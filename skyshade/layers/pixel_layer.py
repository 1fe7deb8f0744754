"""What layers on the pixels of one map share, whatever these pixels are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skyshade.errors import ChangedError, FrameMismatchError, InputError, UnknownNameError
from skyshade.geometry.mirror import mirrored
from skyshade.types import Aggregate, LayerInfo, Quality, SkyImage, SphereImage, Window

if TYPE_CHECKING:
    import xarray as xr

    from skyshade.layers.background import Background
    from skyshade.layers.states import Pixels


class Exact:
    """A layer that can wait until its numbers are exact."""

    def compute(self, window: Window) -> Aggregate:
        """Return the numbers on `window`."""
        raise NotImplementedError

    def wait_exact(self, timeout: float | None = None) -> None:
        """Return when every window is exact."""
        raise NotImplementedError

    def aggregate(self, window: Window, *, exact: bool = False) -> xr.DataArray:
        """Return `compute` as a DataArray; `exact` first waits for overviews if any is needed."""
        made = self.compute(window)
        if exact and made.quality != "exact":
            self.wait_exact()
            made = self.compute(window)
        return made.to_xarray()


class PixelLayer(Exact):
    """One plane of a map of pixels, with a reduction and an overview in the background.

    Parameters
    ----------
    images : sequence of SkyImage or SphereImage
        The planes of one map.
    id : str
    plane : int
        Which of `images` is shown.
    reduction : str
    known : collection of str
        The reductions that there are.

    Raises
    ------
    InputError
        `plane` is not the number of an image.
    UnknownNameError
        `reduction` is not known.
    """

    info: LayerInfo

    def __init__(
        self, images: Sequence[Any], *, id: str, plane: int, reduction: str, known: Sequence[str]
    ) -> None:
        if not 0 <= plane < len(images):
            msg = f"plane {plane} of {id!r} is not allowed: there are {len(images)}, from 0"
            raise InputError(msg)
        if reduction not in known:
            raise UnknownNameError("reduction", reduction, known)
        self._images, self._number, self._named = tuple(images), plane, reduction

    @property
    def id(self) -> str:
        """Name in URLs."""
        return self.info.id

    @property
    def reduction(self) -> str:
        """How many pixels become one."""
        return self._named

    @property
    def image(self) -> SkyImage | SphereImage:
        """The image that the layer shows, with its pixel reader."""
        raise NotImplementedError

    @property
    def version(self) -> str:
        """Changes with everything that changes numbers; 16 hexadecimal digits."""
        raise NotImplementedError

    def _overview(self) -> Background | None:
        """Return the overview of the present pixels; None where no tile needs one."""
        raise NotImplementedError

    def _is_small(self) -> bool:
        """Return whether a tile that needs the overview builds it itself."""
        raise NotImplementedError

    def _begin(self, submit: Callable[..., Any], on_ready: Callable[[], None] | None) -> None:
        """Build the overview in the background."""
        raise NotImplementedError

    def _values(self, window: Window) -> tuple[Pixels, Quality] | None:
        """Return the numbers of a window of the sky; None where the map is not."""
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        """Whether every tile is exact from now on."""
        overview = None if self._is_small() else self._overview()
        return overview is None or overview.ready

    @property
    def progress(self) -> float:
        """Part of the overview that is built, 0 to 1."""
        overview = self._overview()
        return 1.0 if overview is None else overview.progress

    @property
    def overview_error(self) -> Exception | None:
        """Why the overview could not be built and tiles stay previews; None if all is well."""
        overview = self._overview()
        error = None if overview is None else overview.error
        return error if isinstance(error, Exception) else None

    def start_overview(self, submit: Any, on_ready: Callable[[], None] | None = None) -> None:
        """Build the overview in the background; layers from `select` share it.

        Those of other reductions begin, with the same `submit` and `on_ready`, when a tile needs
        them; and all begin again when the pixels change.

        Parameters
        ----------
        submit : callable or executor
            ``submit(function)`` runs a function in a thread; called for short turns of work.
        on_ready : callable, optional
            Called without arguments once the overview is ready, from another thread. Never called
            when it cannot be built: see `overview_error`.
        """
        if self._overview() is not None:
            self._begin(getattr(submit, "submit", submit), on_ready)
        elif on_ready is not None:
            on_ready()

    def wait_exact(self, timeout: float | None = None) -> None:
        """Build the overview, or help those that do, and return when it is ready.

        Raises
        ------
        DataError
            The map cannot be read.
        TimeoutError
            Others were still at it after `timeout` seconds.
        """
        overview = self._overview()
        if overview is not None:
            overview.wait(timeout)

    @mirrored
    def compute(self, window: Window) -> Aggregate:
        """Return the map on `window` as float32, NaN where it has no valid pixel.

        All numbers come from one version of the map: when it changes meanwhile, they are computed
        once more.

        Raises
        ------
        FrameMismatchError
            The window lies on a grid that is not the sky.
        DataError
            The map cannot be read.
        ChangedError
            It changed twice while it was read.
        """
        if window.grid.frame != "sky":
            msg = f"layer {self.id!r} is a sky map: grid {window.grid.id!r} shows free x/y data"
            raise FrameMismatchError(msg)
        try:
            made = self._compute(window)
            if made.version == self.version:
                return made
        except ChangedError:
            pass
        made = self._compute(window)
        if made.version != self.version:
            raise ChangedError(self.image.name, "changed again while it was being read")
        return made

    def _compute(self, window: Window) -> Aggregate:
        version = self.version
        return self._aggregate(window, version, self._values(window))

    def _aggregate(
        self, window: Window, version: str, found: tuple[Pixels, Quality] | None
    ) -> Aggregate:
        if found is None:
            empty = np.full(window.shape, np.nan, np.float32)
            return Aggregate(empty, self.info.units, version)
        return Aggregate(found[0], self.info.units, version, found[1])

    def select(
        self,
        *,
        reduction: object = None,
        column: str | None = None,
        where: str | None = None,
        plane: str | None = None,
        time: str | None = None,
    ) -> Self:
        """Return the layer of another plane or reduction.

        Parameters
        ----------
        reduction : str or datashader reduction, optional
            A name, or an object whose class has that name; see the class.
        plane : str, optional
            Name of a plane.
        column, where, time : None
            Maps have none.

        Raises
        ------
        UnknownNameError
            There is no such plane or reduction.
        InputError
            `column`, `where` or `time` is given.
        """
        for name, value in (("column", column), ("where", where), ("time", time)):
            if value is not None:
                msg = f"{name} {value!r} is not allowed: layer {self.id!r} is a map and has none"
                raise InputError(msg)
        named, number = self.reduction, self._number
        if reduction is not None:
            named = reduction if isinstance(reduction, str) else type(reduction).__name__
        if plane is not None and plane != self.image.plane:
            number = self._number_of(plane)
        if (number, named) == (self._number, self.reduction):
            return self
        made: Self = type(self)(self._images, id=self.id, plane=number, reduction=named)  # type: ignore[call-arg]
        return made

    def _number_of(self, plane: str) -> int:
        names = [image.plane for image in self._images]
        if plane not in names:
            raise UnknownNameError("plane", plane, names)
        return names.index(plane)
