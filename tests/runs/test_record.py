"""The fingerprint of a run, and its configuration in records."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lstm_sentiment.config import (
    CompareConfig,
    Config,
    DataConfig,
    EmbeddingConfig,
    EncoderConfig,
    Reference,
    TrainerConfig,
    flat,
)
from lstm_sentiment.errors import InputError
from lstm_sentiment.files.reading import read_json
from lstm_sentiment.files.writing import write_atomically, write_json
from lstm_sentiment.runs.identity import NOT_FINGERPRINTED, fingerprint, run_folder, run_name
from lstm_sentiment.runs.record import recorded, restored


@pytest.mark.parametrize(
    ("config", "data", "former", "expected"),
    [
        (Config(), "imdb", "d0a7c5d5", "933f5880"),
        (Config(seed=1), "imdb", "97213548", "aa3a694f"),
        (Config(), "other reviews", "c89156a4", "6a143cb3"),
        (Config(encoder=EncoderConfig("gru", bidirectional=True)), "imdb", "d6c413e1", "6285e527"),
    ],
)
def test_fingerprints_are_pinned(config: Config, data: str, former: str, expected: str) -> None:
    before = replace(config, data=replace(config.data, preparation=1))
    assert (fingerprint(before, data), fingerprint(config, data)) == (former, expected), (
        "runs that people have would be trained again; "
        "if what a run computes has changed, raise RECIPE and pin the new values"
    )


def test_places_do_not_change_the_fingerprint() -> None:
    elsewhere = Config(
        root="elsewhere",
        sweep="other",
        rerun=True,
        keep_checkpoints=True,
        reference=[Reference("encoder=lstm", 0.8715, source="a paper")],
        compare=[CompareConfig("Better?", "encoder=gru", "encoder=lstm")],
        data=DataConfig(
            "reviews",  # type: ignore[arg-type]
            path="somewhere",
            test_path="beside it",
            text_column="review",
            label_column="stars",
            classes=3,
            group_column="product",
            val_path="near it",
            delimiter="tab",  # type: ignore[arg-type]
            encoding="cp1252",
            quoting="none",  # type: ignore[arg-type]
            missing="skip",  # type: ignore[arg-type]
            cache="there",
        ),
        trainer=TrainerConfig(
            "cpu",
            devices=2,
            num_nodes=3,
            strategy="ddp",  # type: ignore[arg-type]
            threads=7,
            log_every_n_steps=1,
            enable_progress_bar=False,
        ),
    )
    others = (
        "positive_label test_fraction test_split val_path val_split delimiter encoding quoting "
        "missing"
    )
    for name in others.split():  # some of them exclude each other
        setattr(elsewhere.data, name, "another value")
    elsewhere.embedding.path = "vectors.txt"  # the content of the file counts
    elsewhere.encoder.start_from = "language model"
    elsewhere.data.pseudo_labels = ["run"]
    changed = {name for name, value in flat(elsewhere).items() if value != flat(Config())[name]}
    assert changed == NOT_FINGERPRINTED
    assert fingerprint(elsewhere, "imdb") == fingerprint(Config(), "imdb")


@pytest.mark.parametrize("name", sorted(set(flat(Config())) - NOT_FINGERPRINTED))
def test_every_other_field_changes_the_fingerprint(name: str) -> None:
    config = Config()
    *group, field = name.split(".")
    part: object = config
    for step in group:
        part = getattr(part, step)
    setattr(part, field, "another value")  # not checked again, so that one text fits every field
    assert fingerprint(config, "imdb") != fingerprint(Config(), "imdb")


@pytest.mark.parametrize("written", ["", "data", "data.max_vocab"])
def test_a_configuration_from_before_a_field_has_the_value_of_runs_before_it(written: str) -> None:
    """Where a default changed what a run computes, a missing field is not the default."""
    nested = recorded(Config())
    del nested["data"]["preparation"]
    if written == "":
        del nested["data"]
    elif written == "data":
        nested["data"] = {}
    assert Config().data.preparation == 2
    assert restored(nested).data.preparation == 1
    assert restored(recorded(Config())).data.preparation == 2
    nested["data"] = {"preparation": 2}
    assert restored(nested) == Config()


def test_two_spellings_of_one_net_share_a_folder() -> None:
    typed = Config(encoder=EncoderConfig("lstm", num_layers=2))
    named = Config(encoder=EncoderConfig("lstm", 128, 2, bidirectional=False, dropout=0.2))
    assert run_name(typed, "imdb") == run_name(named, "imdb")
    assert run_name(typed, "imdb").startswith("stacked_lstm-last-s0-")
    assert run_folder(replace(typed, sweep="depth"), "imdb").parent == Path("runs/depth")
    assert run_folder(typed, "imdb").parent == Path("runs/default")


def test_a_record_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    place = str(tmp_path)
    config = Config(
        embedding=EmbeddingConfig("glove", path=place),  # type: ignore[arg-type]
        data=DataConfig("reviews", path=place, test_path=place, cache=place),  # type: ignore[arg-type]
        root=place,
    )
    nested = recorded(config)
    assert str(tmp_path) not in json.dumps(nested)
    assert nested["encoder"]["cell"] == "lstm"
    assert nested["data"]["max_vocab"] == 10_000
    assert nested["seed"] == 0


UNRECORDED_PATHS = {"root", "data.path", "data.test_path", "data.val_path", "embedding.path"}


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(
            encoder=EncoderConfig("rnn", bidirectional=True, num_layers=3),
            seed=7,
            reference=[Reference("encoder=rnn", 0.5, source="a paper")],
        ),
        Config(data=DataConfig("reviews", path="a.csv", test_path="b.csv", max_length=30)),
        Config(data=DataConfig("reviews", path="a.csv", test_fraction=0.3, val_path="b.csv")),
        Config(data=DataConfig("reviews", path="a/films", test_split="dev", val_split="val")),
        Config(embedding=EmbeddingConfig("glove", name="6B", dim=50)),
        Config(embedding=EmbeddingConfig("glove", path="vectors.txt", dim=50)),
        Config(embedding=EmbeddingConfig("word2vec")),
    ],
)
def test_a_recorded_configuration_is_restored(config: Config) -> None:
    nested = json.loads(json.dumps(recorded(config)))
    copy = restored(nested)
    assert recorded(copy) == nested
    assert {name: value for name, value in flat(copy).items() if name not in UNRECORDED_PATHS} == {
        name: value for name, value in flat(config).items() if name not in UNRECORDED_PATHS
    }


@pytest.mark.parametrize(
    ("nested", "reason"),
    [
        ([], "config must be a group of fields (got [])"),
        ({"encoder": "gru"}, "encoder must be a group of fields (got 'gru')"),
        ({"encoder": {"wheels": 4}}, "encoder.wheels is not a field"),
        ({"root": "/etc"}, "root is not a field of a model's configuration"),
        ({"data": {"path": "/etc/passwd"}}, "data.path is not a field of a model's"),
        (
            {"encoder": {"hidden_size": -1}},
            "encoder.hidden_size must be a whole number of at least 1 (got -1)",
        ),
        ({"encoder": {"hidden_size": {}}}, "encoder.hidden_size"),
        ({"reference": [{"run": 0}]}, "reference.run"),
        ({"reference": 0}, "reference"),
    ],
)
def test_a_configuration_that_no_record_has_is_refused(nested: object, reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        restored(nested)


def test_a_json_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"loss": 0.25})
    assert read_json(path) == {"loss": 0.25}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"loss": float("nan")})
    with pytest.raises(TypeError):
        write_atomically(path, "text, not bytes")  # type: ignore[arg-type]
    assert read_json(path) == {"loss": 0.25}
    assert list(tmp_path.iterdir()) == [path]


def test_a_json_file_that_is_missing_or_cut_short_is_none(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert read_json(path) is None
    path.write_text('{"loss": 0.')
    assert read_json(path) is None
