"""Published scores, and the variants that they apply to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_sentiment.config import Config, DataConfig, Reference
from lstm_sentiment.report.published import Published, published
from tests.support.records import DATA, amend, answers, network, put_baseline, put_run
from tests.support.reports import only_group


def rows_of(root: Path) -> list[Published]:
    return published(only_group(root).variants)


def referring(config: Config, run: str, accuracy: float | None = 0.8, **more: Any) -> Config:
    return replace(config, reference=[Reference(run, accuracy, **more)])


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("encoder=lstm", ["lstm-last", "lstm-max data.padding=keras"]),
        ("encoder=bigru", ["bigru-last"]),
        ("head=last", ["lstm-last", "bigru-last"]),
        ("encoder=lstm head=last", ["lstm-last"]),
        ("data.padding=keras", ["lstm-max data.padding=keras"]),
        ("head=max data.padding=keras", ["lstm-max data.padding=keras"]),
        ("head=max data.padding=exact", [None]),
        ("encoder=gru", [None]),
        ("encoder.num_layers=1 encoder=lstm head=max", ["lstm-max data.padding=keras"]),
        ("embedding=glove", [None]),
        ("encoder=ls", [None]),
    ],
)
def test_a_reference_applies_to_the_variants_with_its_choices(
    tmp_path: Path, run: str, expected: list[str | None]
) -> None:
    bigru = network("gru", bidirectional=True)
    keras = DataConfig(padding="keras")  # type: ignore[arg-type]
    put_run(tmp_path, referring(Config(), run), answers(20), answers(10))
    put_run(tmp_path, network("lstm", "max", data=keras), answers(30), answers(20))
    put_run(tmp_path, bigru, answers(40), answers(30))
    put_baseline(tmp_path, answers(50), answers(40))
    rows = rows_of(tmp_path)
    assert [row.name for row in rows] == expected
    ours = {"lstm-last": 0.9, "lstm-max": 0.85, "bigru-last": 0.8}
    for row in rows:
        assert row.ours == (row.name and pytest.approx(ours[row.name.split()[0]]))
        assert (row.run, row.theirs, row.score) == (run, 0.8, "accuracy")


def test_a_result_that_was_described_better_later_has_one_row(tmp_path: Path) -> None:
    """A sweep continued with a longer source and `reviews` records the same result twice."""
    old, new = {"source": "a comparison"}, {"source": "A comparison, on IMDB", "reviews": 50_000}
    other = {"source": "a book", "reviews": 50_000}
    for seed, more in enumerate((old, new, other, other | {"reviews": 25_000})):
        config = network(seed=seed)
        put_run(tmp_path, referring(config, "encoder=lstm", **more), answers(20), answers(10))
    assert [(row.source, row.reviews) for row in rows_of(tmp_path)] == [
        ("A comparison, on IMDB", 50_000),
        ("a book", 50_000),
        ("a book", 25_000),
    ]


def test_an_older_record_is_completed_by_its_experiment_of_today(tmp_path: Path) -> None:
    folder = put_run(tmp_path, referring(Config(), "encoder=lstm", source="a blog"), answers(20))
    more = {"source": "A blog, on IMDB", "labels": 20_000, "otherwise": "trained once"}
    today = [Reference("encoder=lstm", 0.8, **more), Reference("encoder=lstm", 0.9, source="new")]  # type: ignore[arg-type]

    def shorten(record: dict[str, Any]) -> None:
        for name in ("reviews", "labels", "otherwise"):
            del record["config"]["reference"][0][name]

    amend(folder, shorten)
    variants = only_group(tmp_path).variants
    [known] = published(variants)
    assert (known.source, known.labels, known.otherwise) == ("a blog", None, "")
    rows = [(row.source, row.labels, row.otherwise) for row in published(variants, today)]
    assert rows == [("A blog, on IMDB", 20_000, "trained once"), ("new", None, "")]


def test_results_of_two_sources_with_the_same_score_stay_apart(tmp_path: Path) -> None:
    for seed, more in enumerate(({"source": "a paper"}, {"source": "a book", "reviews": 50_000})):
        config = network(seed=seed)
        put_run(tmp_path, referring(config, "encoder=lstm", **more), answers(20), answers(10))
    assert [row.source for row in rows_of(tmp_path)] == ["a paper", "a book"]


def test_a_name_of_a_user_is_compared_with_the_typed_word(tmp_path: Path) -> None:
    typed = {"encoder": "mine", "head": "last", "embedding": "random", "data": "imdb"}
    config = referring(Config(), "encoder=mine data=imdb")
    put_run(tmp_path, config, answers(20), answers(10), choices=typed)
    assert [row.name for row in rows_of(tmp_path)] == ["lstm-last"]


def test_loss_and_accuracy_are_two_rows(tmp_path: Path) -> None:
    config = referring(Config(), "encoder=lstm", 0.8715, loss=0.3507, source="a paper")
    for seed, wrong in ((0, 20), (1, 30)):
        put_run(tmp_path, replace(config, seed=seed), answers(wrong), answers(10))
    put_run(
        tmp_path, referring(network("gru"), "encoder=gru", None, loss=0.3), answers(40), answers(20)
    )
    loss = {wrong: np.log(1 / 0.9) + wrong / 200 * np.log(0.9 / 0.1) for wrong in (20, 25, 40)}
    rows = [(r.run, r.source, r.score, r.theirs, r.name, r.ours) for r in rows_of(tmp_path)]
    lstm = ("encoder=lstm", "a paper")
    assert rows == [
        (*lstm, "accuracy", 0.8715, "lstm-last", pytest.approx(0.875)),
        (*lstm, "loss", 0.3507, "lstm-last", pytest.approx(loss[25])),
        ("encoder=gru", "", "loss", 0.3, "gru-last", pytest.approx(loss[40])),
    ]


def test_a_reference_in_several_records_counts_once(tmp_path: Path) -> None:
    for cell in ("lstm", "gru"):
        for seed in range(2):
            config = referring(network(cell, seed=seed), "encoder=gru", source="a paper")
            put_run(tmp_path, config, answers(20), answers(10))
    put_run(
        tmp_path,
        referring(network("rnn"), "encoder=gru", source="another"),
        answers(20),
        answers(30),
    )
    assert [(row.source, row.name) for row in rows_of(tmp_path)] == [
        ("a paper", "gru-last"),
        ("another", "gru-last"),
    ]


def test_a_reference_to_an_untested_variant_has_no_score_of_ours(tmp_path: Path) -> None:
    put_run(tmp_path, referring(Config(), "encoder=lstm"), None, answers(10), data=DATA)
    assert rows_of(tmp_path) == [Published("encoder=lstm", "", "accuracy", 0.8, None, None)]


def test_without_references_there_are_no_rows(tmp_path: Path) -> None:
    put_run(tmp_path, Config(), answers(20), answers(10))
    put_baseline(tmp_path, answers(20), answers(20))  # whose record has no such field
    assert rows_of(tmp_path) == []
