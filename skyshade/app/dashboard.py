"""The viewer as a Panel application: ``panel serve`` this file with ``--plugins``.

    panel serve $(python -m skyshade.app.dashboard) --plugins skyshade.app.plugin

Run as a programme it prints its own path, which ``panel serve`` wants.
"""

from __future__ import annotations

import sys

from skyshade.app.plugin import shared_atlas
from skyshade.app.viewer.page import viewer_page

if __name__ == "__main__":
    sys.stdout.write(f"{__file__}\n")
else:
    viewer_page(shared_atlas()).servable(title="Skyshade")
