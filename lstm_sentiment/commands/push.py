"""lstm-sentiment push: upload a trained model to the Hugging Face hub."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lstm_sentiment.commands.options import RUN_HELP, Commands
from lstm_sentiment.commands.terminal import (
    Terminal,
    error_console,
    print_labelled,
    print_next,
    print_text,
    typed_program,
)
from lstm_sentiment.errors import InputError, UsageError

if TYPE_CHECKING:
    from lstm_sentiment.report.model_card import CardModel
    from lstm_sentiment.runs.hub_upload import Target
    from lstm_sentiment.serving.predictor import Predictor


def add_parser(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "push",
        help="upload a trained model to the Hugging Face hub",
        description="Upload the files of a model, the record of its run, which contains no paths, "
        "and a model card to a repository of the Hugging Face hub, which is created if there is "
        "none. Predictions, reviews and checkpoints are not uploaded. The access token is that of "
        "hf auth login, or of the environment variable HF_TOKEN.",
        epilog="example: lstm-sentiment push RUN somebody/film-reviews --private",
    )
    parser.add_argument(
        "run", type=Path, metavar="RUN", help=f"{RUN_HELP} or baseline, its model/, or an exported "
        "model",
    )  # fmt: skip
    parser.add_argument("repository", metavar="OWNER/NAME", help="the repository of the hub")
    parser.add_argument(
        "--private",
        action="store_true",
        help="only its owner may read the new repository",
    )
    parser.add_argument(
        "-m", "--message", metavar="TEXT", help="the message of the commit (default: names the run)"
    )
    parser.add_argument(
        "--card", type=Path, metavar="FILE.md",
        help="a model card of your own (default: made from the record)",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a model and a card that are there"
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true",
        help="print the files and the card, and upload nothing; needs no network and no token",
    )  # fmt: skip
    parser.add_argument("-y", "--yes", action="store_true", help="upload without confirmation")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> None:
    """Show what is uploaded, let the user confirm it, and upload it."""
    from lstm_sentiment.runs.hub_models import local_folder
    from lstm_sentiment.runs.hub_upload import CARD, Upload, find_target, require_repository

    require_repository(options.repository)
    if not (options.dry_run or options.yes or sys.stdin.isatty()):
        raise UsageError("Nobody can confirm the upload: give --yes, or --dry-run to look at it.")
    folder = local_folder(options.run, Terminal(error_console))
    files = _files(folder, options.repository, options.card)
    if options.dry_run:
        _show(files)
        print_text(f"\n{files[CARD].decode(errors='replace')}")
        print_text("Dry run: nothing was uploaded.")
        return
    target = find_target(options.repository, options.private)
    upload = Upload(files, target, options.message or f"Upload {folder.resolve().name}")
    if not options.overwrite:
        upload.require_new()
    _show(files, upload.replaced, upload.removed)
    if not options.yes:
        _confirm(target)
    print_labelled("uploaded", upload.send())
    program = typed_program("lstm-sentiment")
    print_next(f'{program} predict hub:{options.repository} "Not bad at all."')


def _files(folder: Path, repository: str, own_card: Path | None) -> dict[str, bytes]:
    """Return the files to upload by name. Raises InputError if one cannot be read."""
    from lstm_sentiment.files.limits import JSON_BYTES
    from lstm_sentiment.files.reading import errors_named, read_bytes
    from lstm_sentiment.report.model_card import model_card
    from lstm_sentiment.runs.folder import RECORD
    from lstm_sentiment.runs.hub_upload import CARD, model_files, record_file, record_of
    from lstm_sentiment.runs.model_location import find_model
    from lstm_sentiment.serving.predictor import Predictor

    described = _described(Predictor.load(folder))
    files = model_files(find_model(folder))
    if (record := record_of(folder)) is not None:
        files[RECORD] = record_file(record)
    else:
        Terminal(error_console).message(
            "the model has no record of its training, so the card has no scores", "warning"
        )
    if own_card is None:
        with errors_named(folder / RECORD):
            files[CARD] = model_card(repository, described, record).encode()
    else:
        with errors_named(own_card):
            files[CARD] = read_bytes(own_card, JSON_BYTES, follow_links=True)
    return files


def _described(predictor: "Predictor") -> "CardModel":
    """Return what the card says of a model. Raises InputError if it is an ensemble."""
    from lstm_sentiment.report.model_card import EXPORTED, NETWORK, NGRAMS, CardModel
    from lstm_sentiment.serving.ngram_predictor import NgramPredictor
    from lstm_sentiment.serving.predictor import NetworkPredictor
    from lstm_sentiment.serving.torch_predictor import TorchPredictor

    config, classes = predictor.config, predictor.classes
    if isinstance(predictor, NgramPredictor):
        return CardModel(NGRAMS, config, classes, len(predictor.classifier.ngrams))
    if isinstance(predictor, NetworkPredictor):
        kind = NETWORK if isinstance(predictor, TorchPredictor) else EXPORTED
        return CardModel(kind, config, classes, len(predictor.vocabulary))
    raise InputError("An ensemble has no model of its own: upload its members.")


def _show(
    files: Mapping[str, bytes], replaced: Sequence[str] = (), removed: Sequence[str] = ()
) -> None:
    """Print the names and sizes of the files, and what happens to those of the repository."""
    for name, content in files.items():
        note = "  replaces the file there" if name in replaced else ""
        print_text(f"{len(content):>13,} bytes  {name}{note}")
    for name in removed:
        print_text(f"{'':>13}        {name}  of the earlier model, is removed")


def _confirm(target: "Target") -> None:
    """Ask whether to upload. Raises InputError unless the answer is yes."""
    state = "new" if target.commit is None else "existing"
    visibility = "private" if target.is_private else "public"
    print_text(f"Upload to {target.url}, a {state} {visibility} repository? [y/N] ", flush=True)
    if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
        raise InputError("Nothing was uploaded.")
