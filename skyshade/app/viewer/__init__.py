"""The Panel viewer; importing it imports Panel."""

from skyshade.app.viewer.page import viewer_page
from skyshade.app.viewer.viewer import Viewer

__all__ = ["Viewer", "viewer_page"]
