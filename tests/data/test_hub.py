"""Data sets of the Hugging Face hub, replaced by a function: no test needs a network."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import datasets
import pytest
from huggingface_hub import constants

from lstm_sentiment.config import DataConfig, Source
from lstm_sentiment.data.cache import DataCache
from lstm_sentiment.data.hub import is_reachable
from lstm_sentiment.data.sources import open_corpus
from lstm_sentiment.errors import InputError
from tests.support.corpora import (
    LABELS,
    TEXTS,
    Hub,
    data_set,
    open_imdb,
    open_reviews,
    read,
    refusal_of,
    reviews,
    version,
)
from tests.support.tables import numbered, write_rows

REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
TEST_ROWS = [("Dull.", 0), ("Bright.", 1)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split_of_the_pinned_revision_is_fetched(hub: Hub, split: str) -> None:
    part = open_imdb().parts[split]()
    assert numbered(list(part.read())) == numbered(list(part.read())) == reviews()
    expected = {"split": split, "revision": REVISION}
    assert hub.calls == [(("stanfordnlp/imdb", "plain_text"), expected)]


def test_unlabelled_reviews_of_the_hub(hub: Hub) -> None:
    hub.answer = datasets.Dataset.from_dict({"text": TEXTS, "label": [-1] * 4})
    corpus = open_imdb()
    assert read(corpus, "unsupervised") == reviews(labels=[None] * 4)


def test_the_version_of_imdb_is_its_revision_and_needs_no_network(hub: Hub) -> None:
    corpus = open_imdb()
    assert version(corpus) == f"stanfordnlp/imdb@{REVISION}-train"
    assert version(corpus, "test") == f"stanfordnlp/imdb@{REVISION}-test"
    assert hub.calls == []


ERRORS = [
    ConnectionError("Couldn't reach the Hub"),
    FileNotFoundError("no such data set"),
    ValueError("Unknown split\n\nof many lines"),
    datasets.exceptions.DatasetNotFoundError("gone"),
    datasets.exceptions.DatasetGenerationError("half of it"),
    RuntimeError("Dataset scripts are no longer supported, but found films.py"),
    OSError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_unreachable_hub_is_reported_with_alternatives(hub: Hub, error: Exception) -> None:
    hub.answer = error
    start = "cannot be fetched from the Hugging Face hub"
    reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    assert refusal_of(lambda: read(open_imdb())) == (
        f"stanfordnlp/imdb {start} ({reason}): "
        "give data.path=FOLDER with IMDB's files, or data=synthetic, which needs no network."
    )
    message = refusal_of(lambda: open_reviews("somebody/films"))
    assert message.startswith(f"somebody/films {start} ({reason}): ")
    assert "data.path=somebody/films" in message
    assert "data=synthetic" in message


def test_an_unreachable_hub_is_asked_once_in_a_command(hub: Hub) -> None:
    hub.answer, cache = ConnectionError("Couldn't reach the Hub"), DataCache()
    messages = {refusal_of(lambda: open_reviews("a/films", cache)) for _ in range(2)}
    assert len(messages) == len(hub.calls) == 1
    hub.answer = data_set(train=reviews())
    assert refusal_of(lambda: open_reviews("a/films", cache)) in messages
    assert read(open_reviews("a/films", DataCache()), "all") == reviews()  # the next command


@contextmanager
def server(code: int) -> Iterator[str]:
    """Answer every request with the status `code`."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


@pytest.mark.parametrize("code", [200, 404, 503])
def test_a_server_that_answers_is_reachable(code: int) -> None:
    with server(code) as url:
        assert is_reachable(url)
    assert not is_reachable(url)  # nothing listens any more


def test_a_server_that_is_silent_is_not_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not is_reachable(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)


def test_an_unreachable_hub_is_reported_soon_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The libraries of the hub would repeat each request five times, for half a minute."""
    with server(200) as url:
        pass  # nothing listens there
    for module in (constants, datasets.config):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", url)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a request was repeated"))
    message = refusal_of(lambda: open_reviews("somebody/films"))
    assert message.startswith(
        f"somebody/films cannot be fetched from the Hugging Face hub ({url} cannot be reached): "
    )
    assert capsys.readouterr().err == ""
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("name", ["films", "somebody/films", "somebody/films:new@v1.0"])
def test_a_name_that_is_neither_file_nor_data_set(name: str) -> None:
    message = refusal_of(lambda: open_reviews(name))  # tests are offline
    assert message.startswith(f"{name.split(':')[0]} cannot be fetched from the Hugging Face hub ")
    assert f"data.path={name} is also not a file" in message


def test_reviews_of_the_hub_are_checked_like_others(hub: Hub) -> None:
    hub.answer = datasets.Dataset.from_dict({"text": TEXTS, "label": [1, 0, -1, -1]})
    message = refusal_of(lambda: read(open_imdb()))
    assert message.startswith(
        "stanfordnlp/imdb, train: row 3: label '-1' is not one of the classes of IMDB"
    )


@pytest.mark.parametrize(
    ("path", "name", "subset", "revision"),
    [
        ("films", "films", None, None),
        ("some-body/films_2.0", "some-body/films_2.0", None, None),
        ("a/films:new", "a/films", "new", None),
        ("a/films@v1.0", "a/films", None, "v1.0"),
        ("a/films:new@0fe1", "a/films", "new", "0fe1"),
        ("films@refs/pr/1", "films", None, "refs/pr/1"),
        ("a/films:new@refs/convert/parquet", "a/films", "new", "refs/convert/parquet"),
        ("a/films:20220301.en", "a/films", "20220301.en", None),
    ],
)
def test_a_data_set_with_subset_and_revision(
    hub: Hub, path: str, name: str, subset: str | None, revision: str | None
) -> None:
    hub.answer = data_set(train=reviews(), test=TEST_ROWS)
    corpus = open_reviews(path)
    assert hub.calls == [((name, subset), {"split": None, "revision": revision})]
    assert (read(corpus), corpus.name, corpus.test_fraction) == (reviews(), path, None)
    assert read(corpus, "test") == TEST_ROWS
    assert [corpus.parts[part]().count() for part in corpus.parts] == [4, 2]


def test_a_test_set_is_drawn_if_the_data_set_has_none(hub: Hub) -> None:
    hub.answer = data_set(train=reviews(), validation=reviews())
    corpus = open_reviews("a/films", test_fraction=0.4)
    assert (read(corpus, "all"), corpus.test_fraction, list(corpus.parts)) == (
        reviews(),
        0.4,
        ["all"],
    )


@pytest.mark.parametrize("more", [{}, {"test": [("x", 0)]}])
def test_test_reviews_may_be_a_file(tmp_path: Path, hub: Hub, more: Any) -> None:
    hub.answer = data_set(train=reviews(), **more)
    test = write_rows(tmp_path / "b.csv", TEST_ROWS)
    corpus = open_reviews("a/films", test_path=str(test))
    assert (read(corpus), corpus.test_fraction) == (reviews(), None)
    assert read(corpus, "test") == TEST_ROWS


def test_a_fraction_for_testing_is_refused_if_there_is_a_test_set(hub: Hub) -> None:
    hub.answer = data_set(train=reviews(), test=TEST_ROWS)
    assert refusal_of(lambda: open_reviews("a/films", test_fraction=0.3)) == (
        "data.test_fraction=0.3 is allowed only without a test set, but a/films has the split "
        "test: leave out the field."
    )
    hub.answer = data_set(train=reviews())
    assert open_reviews("a/films", test_fraction=0.3).test_fraction == 0.3
    assert open_reviews("a/films").test_fraction == 0.2


def test_the_same_split_with_and_without_labels_has_two_versions(hub: Hub) -> None:
    """Otherwise the cache would give one in place of the other."""
    hub.answer = data_set(train=reviews(), unsupervised=TEST_ROWS)
    corpus = open_reviews("a/films", test_split="unsupervised")
    assert version(corpus, "test") != version(corpus, "unsupervised")


def test_a_data_set_may_have_unlabelled_reviews(hub: Hub) -> None:
    hub.answer = data_set(train=reviews(), test=reviews(), unsupervised=[("?", -1)])
    assert read(open_reviews("a/films"), "unsupervised") == [("?", None)]


def test_a_data_set_without_a_train_split_is_reported_with_its_splits(hub: Hub) -> None:
    hub.answer = data_set(validation=reviews(), test=reviews())
    message = refusal_of(lambda: open_reviews("a/films:new"))
    assert message.startswith("a/films:new has no split train (splits: validation, test)")


def test_columns_of_a_data_set_can_be_named(hub: Hub) -> None:
    table = {"answer": ["a", "b"], "stars": ["5", "1"]}
    hub.answer = datasets.DatasetDict({"train": datasets.Dataset.from_dict(table)})
    columns = {"text_column": "answer", "label_column": "stars", "positive_label": "5"}
    assert read(open_reviews("a/films", **columns), "all") == [("a", 1), ("b", 0)]
    message = refusal_of(lambda: read(open_reviews("a/films"), "all"))
    assert message.startswith("a/films, train: there is no column text or review (columns: answer")


def test_another_fingerprint_of_a_data_set_is_another_version(hub: Hub) -> None:
    hub.answer = data_set(train=reviews())
    before = version(open_reviews("a/films"), "all")
    assert version(open_reviews("a/films"), "all") == before
    assert version(open_reviews("a/films", positive_label="1"), "all") != before
    hub.answer = data_set(train=reviews(labels=LABELS[::-1]))
    assert version(open_reviews("a/films"), "all") != before


# Validation and hidden test labels


def test_a_split_of_the_hub_may_be_the_validation_set(hub: Hub) -> None:
    hub.answer = data_set(train=reviews(), validation=TEST_ROWS, test=reviews())
    assert list(open_reviews("a/films").parts) == ["train", "test"]
    corpus = open_reviews("a/films", val_split="validation")
    assert read(corpus, "val") == TEST_ROWS
    hub.answer = data_set(train=reviews(), validation=TEST_ROWS)
    corpus = open_reviews("a/films", val_split="validation")
    assert (read(corpus, "all"), read(corpus, "val")) == (reviews(), TEST_ROWS)


def test_the_advice_on_hidden_test_labels_works(hub: Hub) -> None:
    """The test sets of GLUE, such as SST-2, have the label -1."""
    hidden = [("?", -1), ("!", -1)]
    hub.answer = data_set(train=reviews(), validation=TEST_ROWS, test=hidden)
    corpus = open_reviews("nyu-mll/glue:sst2")
    assert read(corpus) == reviews()  # without the test set, the data set can be used
    assert refusal_of(corpus.parts["test"]) == (
        "nyu-mll/glue:sst2, test: the labels are hidden (all of them are -1): give "
        "data.test_split=validation, or test=false, which trains without a test set."
    )
    corpus = open_reviews("nyu-mll/glue:sst2", test_split="validation")
    assert (read(corpus), read(corpus, "test")) == (reviews(), TEST_ROWS)


def test_a_split_that_is_used_already_is_no_advice(hub: Hub) -> None:
    hub.answer = data_set(train=reviews(), validation=TEST_ROWS, test=[("?", -1)])
    corpus = open_reviews("a/films", val_split="validation")
    assert refusal_of(corpus.parts["test"]).endswith(
        "(all of them are -1): test=false trains without a test set."
    )
    message = refusal_of(
        lambda: open_reviews("a/films", val_split="validation", test_split="validation")
    )
    assert message.startswith("a/films: training, validation and test set must be different splits")


def test_an_unknown_split_is_reported_with_the_splits(hub: Hub) -> None:
    hub.answer = data_set(train=reviews(), validation=TEST_ROWS)
    assert refusal_of(lambda: open_reviews("a/films", val_split="dev")) == (
        "data.val_split=dev is not a split of a/films (splits: train, validation)."
    )


@pytest.mark.parametrize("role", ["val", "test"])
def test_a_file_has_no_splits(tmp_path: Path, role: str) -> None:
    file = write_rows(tmp_path / "a.csv", reviews())
    message = refusal_of(lambda: open_reviews(file, **{f"{role}_split": "validation"}))
    assert message.endswith(f"only with a data set of the hub: give data.{role}_path=FILE.")


@pytest.mark.parametrize(
    "fields",
    [
        {"test_split": "a", "test_path": "b.csv"},
        {"test_split": "a", "test_fraction": 0.3},
        {"val_split": "a", "val_path": "b.csv"},
        {"val_split": "a", "val_fraction": 0.3},
        {"val_path": "b.csv", "val_fraction": 0.0},
    ],
)
def test_two_sources_of_a_set_exclude_each_other(fields: dict[str, Any]) -> None:
    message = refusal_of(lambda: open_reviews("a/films", **fields))
    assert message.endswith(" exclude each other: give one of them.")


def test_the_names_of_the_hubs_classes_decide(hub: Hub) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["pos", "neg"])}
    )
    rows = {"text": ["Good.", "Bad."], "label": [0, 1]}
    hub.answer = datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features)})
    assert read(open_reviews("a/films"), "all") == [("Good.", 1), ("Bad.", 0)]


@pytest.mark.parametrize("name", ["csv", "json", "csv@main", "reviews:csv", "films/reviews@main"])
def test_names_of_the_hub_never_lead_to_local_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The library `datasets` reads the files of a folder, or all files beside, for such names."""
    monkeypatch.chdir(tmp_path)
    for folder in ("reviews", "films/reviews"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "train.csv").write_text("text,label\ngood,1\nbad,0\n")
    (tmp_path / "private.csv").write_text("text,label\nsecret,1\nmine,0\n")
    config = DataConfig(source=Source.reviews, path=name)
    with pytest.raises(InputError, match="not a data set of the Hugging Face hub"):
        open_corpus(config, DataCache())
