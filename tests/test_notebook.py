"""The notebook of examples/ runs as it is: offline, on synthetic reviews."""

import re
from pathlib import Path

import pytest

from lstm_sentiment import Predictor
from tests.support.project import ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"


def test_the_notebook_is_stored_without_outputs() -> None:
    """Outputs of another version or machine would be wrong, and every execution would differ."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]


@pytest.mark.slow  # a process of its own trains three networks
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_runs_and_shows_the_predictions_of_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.execute(notebook, cwd=str(tmp_path), timeout=300, kernel_name="python3")
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"stream"}
    # Without ipywidgets, tqdm, which a dependency imports, says that it shows no bars.
    assert all("TqdmWarning" in output.text for output in outputs if output.name == "stderr")
    shown = [
        "".join(output.text for output in cell.outputs if output.name == "stdout") for cell in cells
    ]
    *_, explained, loaded = shown
    predictor = Predictor.load(tmp_path / "quickstart_model")
    *_, explaining, loading = (re.findall(r'"([^"]* [^"]*)"', cell.source) for cell in cells)
    assert explained.split()[0] == predictor.predict(explaining[0]).label
    assert loaded.split() == ["True", predictor.predict(loading[0]).label]
