"""Where things are: planes, tile grids, lattice keys, frames and pixel coordinates."""

from skyshade.geometry.grids import GRIDS, SKY, TileGrid, grid_named, square_window, tan_grid

__all__ = ["GRIDS", "SKY", "TileGrid", "grid_named", "square_window", "tan_grid"]
