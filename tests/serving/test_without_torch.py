"""Exported networks are read and computed where only the packages of the image are installed."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lstm_sentiment.config import Config
from lstm_sentiment.data.vocabulary import SPECIALS, Vocabulary
from lstm_sentiment.labels import Classes
from lstm_sentiment.model.ngram_classifier import NgramClassifier, NgramModel
from lstm_sentiment.runs.ngram_folder import save_ngrams
from lstm_sentiment.serving.predictor import Predictor
from tests.support.networks import TEXTS, WORDS, drawn, drawn_ngrams
from tests.support.project import ROOT
from tests.support.requirements import GROUPS, installed

pytest.importorskip("onnxruntime")

from lstm_sentiment.serving.onnx_model import save_onnx

Make = Callable[..., Config]

# Begins a program in which the packages in argv[1] seem not to be installed.
PREAMBLE = """
import json, sys
missing = {*json.loads(sys.argv[1])}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def packages_missing_in_the_image() -> list[str]:
    """Return the names of all other installed packages, as code imports them."""
    present = {*installed(map(Requirement, GROUPS["onnx-serving"])), "lstm-sentiment"}
    return [
        name
        for name, owners in metadata.packages_distributions().items()
        if not {*map(canonicalize_name, owners)} & present
    ]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program where the packages that the image lacks cannot be imported."""
    command = [
        sys.executable,
        "-c",
        PREAMBLE + program,
        json.dumps(packages_missing_in_the_image()),
    ]
    return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def folders(tiny: Make, tmp_path: Path) -> list[Path]:
    """Return exported networks of several kinds, and a baseline."""
    words, three = Vocabulary([*SPECIALS, *WORDS]), Classes(("a", "b", "c"))
    plain = tiny(encoder={"cell": "gru"}, head={"kind": "attention"})
    wide = tiny(head={"ngrams": 3}, data={"tokenizer": "unicode", "padding": "keras"})
    save_onnx(tmp_path / "plain", drawn(plain), words, plain)
    save_onnx(tmp_path / "int8", drawn(plain), words, plain, int8=True)
    ngrams = drawn_ngrams(wide, three)
    save_onnx(tmp_path / "wide", drawn(wide, three), words, wide, False, three, ngrams)
    weights, intercept = np.array([1, -1], np.float32), np.float32(0.5)
    baseline = NgramClassifier(["good", "not good"], weights, intercept, None)
    settings = {"kind": NgramModel.nb_svm, "longest": 3}
    save_ngrams(tmp_path / "ngrams", baseline, settings, tiny())
    return [tmp_path / name for name in ("plain", "int8", "wide", "ngrams")]


def test_logits_are_the_same_without_pytorch(folders: list[Path]) -> None:
    program = """
from lstm_sentiment import Predictor
texts = json.loads(sys.argv[2])
print(json.dumps([Predictor.load(folder).logits(texts).tolist() for folder in sys.argv[3:]]))
print(json.dumps([name for name in ("pyarrow", "scipy", "torch") if name in sys.modules]))
"""
    result = run(program, json.dumps(TEXTS), *map(str, folders))
    assert result.returncode == 0, result.stderr
    logits, imported = map(json.loads, result.stdout.splitlines())
    for folder, each in zip(folders, logits, strict=True):
        np.testing.assert_array_equal(each, Predictor.load(folder).logits(TEXTS).tolist())
    assert imported == []


def test_the_command_labels_texts_and_files_without_pytorch(folders: list[Path]) -> None:
    program = """
from lstm_sentiment.commands.main import main
model, folder = sys.argv[2:]
exits = [
    main(["predict", model, "not bad"]),
    main(["predict", model, "--file", f"{folder}/texts.csv", "-o", f"{folder}/labelled.csv"]),
    main(["predict", model, "--file", f"{folder}/texts.jsonl", "-o", f"{folder}/labelled.jsonl"]),
    main(["predict", model, "--file", f"{folder}/texts.csv", "-o", f"{folder}/texts.parquet"]),
    main(["explain", model, "not bad"]),
    main(["train", "encoder=gru"]),
]
print(exits)
"""
    folder = folders[0].parent
    (folder / "texts.csv").write_text("text,id\nnot bad,7\n")
    (folder / "texts.jsonl").write_text('{"text": "not bad"}\n')
    result = run(program, str(folders[0]), str(folder))
    assert result.stdout.splitlines()[-1:] == ["[0, 0, 0, 1, 1, 1]"], result.stderr
    label = result.stdout.partition("\t")[0]
    assert (folder / "labelled.csv").read_text().splitlines()[1].startswith(f"not bad,7,{label},")
    assert json.loads((folder / "labelled.jsonl").read_text())["label"] == label
    *_, parquet, explanation, training = result.stderr.splitlines()
    assert "needs the package pyarrow, which is not installed" in parquet
    assert "An exported model has no gradients" in explanation
    assert "needs the package hydra, which is not installed" in training


def test_a_run_needs_pytorch_and_says_so(tmp_path: Path, tiny: Make) -> None:
    from tests.support.networks import saved

    program = """
from lstm_sentiment.commands.main import main
sys.exit(main(["predict", sys.argv[2], "not bad"]))
"""
    result = run(program, str(saved(tmp_path / "run", tiny())))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "needs PyTorch, which is not installed" in result.stderr
