"""The models of the service: loaded from their folders, described, and loaded again on request.

Model folders are untrusted input: `Predictor.load` executes nothing, and all text of a record that
is shown has been checked by `examine_record`.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_sentiment.data.columns import join_names
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import content_digest, errors_named
from lstm_sentiment.runs.ensemble_folder import find_members
from lstm_sentiment.runs.folder import MODEL, RECORD
from lstm_sentiment.runs.hub_models import MAIN, hub_model, local_folder
from lstm_sentiment.runs.model_folder import MODEL_FILES, ONNX
from lstm_sentiment.runs.model_location import find_model
from lstm_sentiment.runs.record import read_record

if TYPE_CHECKING:
    from lstm_sentiment.serving.http.schemas import ReliabilityBin
    from lstm_sentiment.serving.predictor import Predictor


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that answers requests, and the content of its folder when it was loaded."""

    name: str
    folder: Path
    digest: str
    predictor: "Predictor"
    record: Mapping[str, Any] | None  # of its training
    calibration: list["ReliabilityBin"]  # of the predictions beside the record


class LoadedModels:
    """The models by their names, in the order of the command line; the first one is the default."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises InputError if two folders have the same name."""
        self.folders = _named(folders)
        self._models: dict[str, LoadedModel] = {}

    @property
    def are_ready(self) -> bool:
        """Whether all models have been loaded."""
        return bool(self._models)

    def load(self) -> None:
        """Load all models, or load them again; requests that were accepted keep their models.

        Raises InputError if one of them cannot be loaded; all models then stay as they are.
        """
        self._models = {name: load_model(name, folder) for name, folder in self.folders.items()}

    def all(self) -> list[LoadedModel]:
        """Return the models."""
        return [*self._models.values()]

    def get(self, name: str | None) -> LoadedModel | None:
        """Return the model of this name, or the default one; None if there is none."""
        if name is None:
            return next(iter(self._models.values()), None)
        return self._models.get(name)

    @property
    def names(self) -> str:
        """The names of all models, for messages."""
        return join_names([*self.folders])


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the folders by the names of their models, those of the folders of the runs."""
    names = [_name_of(folder) for folder in folders]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        same = join_names([str(folder) for folder, own in zip(folders, names, strict=True)
                           if own == name])  # fmt: skip
        raise InputError(
            f"The folders {same} have the same name, {name}, by which requests would choose a "
            "model: rename or copy one of them."
        )
    return dict(zip(names, folders, strict=True))


def _name_of(folder: Path) -> str:
    """Return the name of a model: that of the folder of its run, or of its repository."""
    if (model := hub_model(folder)) is None:
        return home_of(folder).name
    revision = "" if model.revision == MAIN else f"@{model.revision}"
    return (model.repository + revision).replace("/", "--")


def home_of(folder: Path) -> Path:
    """Return the folder of the run to which a folder of a model belongs."""
    home = Path(os.path.realpath(folder))
    return home.parent if home.name == MODEL else home


def load_model(name: str, folder: Path) -> LoadedModel:
    """Load the model of a folder or of the hub.

    Raises InputError if it cannot be used, or changes meanwhile.
    """
    # They import PyTorch and pyarrow, which takes long.
    from lstm_sentiment.serving.http.calibration import reliability
    from lstm_sentiment.serving.predictor import Predictor

    folder = local_folder(folder)  # of a model of the hub, its copy
    before = model_digest(folder)
    predictor = Predictor.load(folder)
    predictor.predict("")  # the first prediction takes longer than all later ones
    record = read_record(home_of(folder))
    calibration = [] if record is None else reliability(home_of(folder), record)
    if model_digest(folder) != before:
        raise InputError(f"{folder} was changed while it was read: load it again.")
    return LoadedModel(name, folder, f"sha256-{before}", predictor, record, calibration)


def model_digest(folder: Path) -> str:
    """Return a digest of the files of a model.

    Of an ensemble, these are its record, which contains the shares of its members, and their files.
    """
    members = find_members(folder)
    folders = [folder] if members is None else [member.folder for member in members]
    files = [] if members is None else [home_of(folder) / RECORD]
    files += [file for each in folders for file in _model_files(find_model(each))]
    with errors_named(folder):
        return content_digest(*files)


def _model_files(model: Path) -> list[Path]:
    names = sorted(MODEL_FILES | {ONNX})
    return [model / name for name in names if (model / name).exists()]
