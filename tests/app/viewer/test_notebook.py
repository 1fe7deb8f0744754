"""The notebooks run from top to bottom, and their stored form can be read without running them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "notebooks"
PICTURES = {"first_light": 2, "maps": 2}
LARGEST = 1_500_000  # bytes: Panel's scripts must not be stored


def test_every_notebook_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(PICTURES)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # jupyter's own packages warn of many things
@pytest.mark.parametrize("name", PICTURES)
def test_the_notebook_runs(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at import too
        import nbclient
        import nbformat

        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        client = nbclient.NotebookClient(
            notebook,
            timeout=180,
            kernel_name="python3",
            resources={"metadata": {"path": FOLDER}},
        )
        client.execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert not [out for out in outputs if out.output_type == "error" or out.get("name") == "stderr"]
    shown = [out["data"] for out in outputs if "data" in out]
    assert sum("image/png" in data for data in shown) == PICTURES[name]
    assert any("application/vnd.holoviews_exec.v0+json" in d or "text/html" in d for d in shown)


@pytest.mark.parametrize("name", PICTURES)
def test_the_stored_notebook_was_run(name: str) -> None:
    import nbformat

    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < LARGEST
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kept = [kind for cell in code for out in cell.outputs for kind in out.get("data", {})]
    assert {"image/png", "image/jpeg"} & set(kept)
    assert notebook.cells[0].source.startswith("# ")
