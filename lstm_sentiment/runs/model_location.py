"""Find the folder of the model of a run or baseline, or of an exported model."""

import os
from pathlib import Path

from lstm_sentiment.errors import InputError
from lstm_sentiment.runs.folder import MODEL, RECORD
from lstm_sentiment.runs.identity import BASELINE
from lstm_sentiment.runs.model_folder import CONFIG, ONNX, VOCABULARY, WEIGHTS
from lstm_sentiment.runs.record import read_record


def find_model(folder: Path) -> Path:
    """Return the folder of the model: `folder` itself or its `model/`.

    Raises InputError if neither contains a model.
    """
    remedy = (
        f"give the folder of a finished run, its {MODEL}/ ({WEIGHTS}, {CONFIG}, {VOCABULARY}), or "
        "a folder written by lstm-sentiment export."
    )
    try:
        for model in (folder, folder / MODEL):
            if any((model / name).exists() for name in (WEIGHTS, ONNX)):
                return _checked_part(folder, model)
        if (folder / MODEL).is_dir():
            # incomplete; reading it raises an error with the missing file
            return _checked_part(folder, folder / MODEL)
        # Runs in results/ and baselines of earlier versions have no model.
        if (record := read_record(Path(os.path.realpath(folder)))) is not None:
            kind, command = "run", "lstm-sentiment train"
            if BASELINE in record["config"]:
                kind, command = "baseline", "lstm-sentiment baseline"
            problem = f"is a finished {kind} whose model was not kept"
            remedy = (
                f"train it again with {command} and the settings in its {RECORD}, and give the new "
                "folder."
            )
        elif folder.is_dir():
            problem = "holds no model"
        else:
            problem = "is not a folder" if folder.exists() else "does not exist"
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be read ({error}).") from error
    raise InputError(f"{folder} {problem}: {remedy}")


def _checked_part(folder: Path, model: Path) -> Path:
    """Return the folder of a model. Raises InputError if a run has a link in its place."""
    if model != folder and model.is_symlink():
        raise InputError(f"{model} is a link, which is not followed: give the folder itself.")
    return model
