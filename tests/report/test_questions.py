"""The questions of records and of --compare, and the pairs of variants that answer them."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lstm_sentiment.config import CompareConfig, Config, DataConfig, EncoderConfig
from lstm_sentiment.errors import InputError
from lstm_sentiment.report.page import Listing, Paragraph
from lstm_sentiment.report.questions import questions
from lstm_sentiment.report.sections import build_report
from lstm_sentiment.runs.reader import read_runs
from lstm_sentiment.runs.record import recorded, restored
from tests.support.records import amend, answers, network, put_baseline, put_run
from tests.support.reports import below, only_group, rows_by_column, table_below

HEADS = ("last", "max", "avg")
PADDINGS = ("exact", "keras")


def padded(head: str, padding: str, **fields: Any) -> Config:
    return network(head=head, data=DataConfig(padding=padding), **fields)  # type: ignore[arg-type]


@pytest.fixture
def pooling(tmp_path: Path) -> Path:
    """Three heads with two paddings each, and an n-gram baseline."""
    for number, (head, padding) in enumerate(product(HEADS, PADDINGS)):
        put_run(tmp_path, padded(head, padding), answers(30 + number), answers(30 + number))
    put_baseline(tmp_path, answers(10), answers(10))
    return tmp_path


def pairs(root: Path, run: str, other: str) -> list[tuple[str, str]]:
    """Return the names of the pairs of one question, sorted."""
    asked, _ = questions(only_group(root).variants, [CompareConfig(run=run, other=other)])
    return sorted((p.variant.name, p.other.name) for q in asked for p in q.pairs)


def test_each_variant_is_compared_with_the_nearest_other(pooling: Path) -> None:
    exact, keras = (f"data.padding={padding}" for padding in PADDINGS)
    assert pairs(pooling, "head=max,avg", "head=last") == [
        (f"lstm-{head} {padding}", f"lstm-last {padding}")
        for head in ("avg", "max")
        for padding in (exact, keras)
    ]
    assert pairs(pooling, f"head=max,avg {exact}", "head=last") == [
        (f"lstm-avg {exact}", f"lstm-last {exact}"),
        (f"lstm-max {exact}", f"lstm-last {exact}"),
    ]
    assert pairs(pooling, f"head=last {keras}", f"head=last {exact}") == [
        (f"lstm-last {keras}", f"lstm-last {exact}")
    ]


def test_of_equally_near_others_each_is_compared(pooling: Path) -> None:
    assert pairs(pooling, "ngrams.kind=logistic", "head=last") == [
        ("ngrams-logistic", "lstm-last data.padding=exact"),
        ("ngrams-logistic", "lstm-last data.padding=keras"),
    ]
    # Both alternatives are in question, so that neither is nearer.
    assert len(pairs(pooling, "head=max data.padding=exact", "head=last,avg")) == 2


def test_a_pair_occurs_once(pooling: Path) -> None:
    exact = "data.padding=exact"
    assert pairs(pooling, f"head=last,max {exact}", f"head=last,max {exact}") in (
        [(f"lstm-last {exact}", f"lstm-max {exact}")],
        [(f"lstm-max {exact}", f"lstm-last {exact}")],
    )


@pytest.mark.parametrize(
    ("run", "other", "reason"),
    [
        ("encoder=gru", "head=last", "no run has encoder=gru"),
        ("head=max", "head=attention", "no run has head=attention"),
        ("head=max", "head=attention,conv", "no run has head=attention or head=conv"),
        (
            "head=max data.padding=exact",
            "head=max data.padding=exact",
            "only one variant has head=max data.padding=exact and head=max data.padding=exact",
        ),
    ],
)
def test_a_question_without_pairs_is_a_note(
    pooling: Path, run: str, other: str, reason: str
) -> None:
    asked, notes = questions(only_group(pooling).variants, [CompareConfig("Which?", run, other)])
    assert asked == []
    assert notes == [f"“Which?” has no answer: {reason}."]


def test_alternatives_that_no_run_has_are_a_note(pooling: Path) -> None:
    entry = CompareConfig("Which?", "head=max,averge,atention", "head=last")
    [asked], notes = questions(only_group(pooling).variants, [entry])
    assert {pair.variant.settings["head.kind"] for pair in asked.pairs} == {"max"}
    assert notes == ["“Which?” is answered in part: no run has head=averge or head=atention."]


def test_a_note_on_a_long_question_is_short(pooling: Path) -> None:
    entry = CompareConfig(run=f"encoder={'x' * 5000}", other="head=last")
    _, [note] = questions(only_group(pooling).variants, [entry])
    assert len(note) < 500


def test_the_questions_of_all_records_are_asked_once(tmp_path: Path) -> None:
    entry = CompareConfig("Is a GRU better?", "encoder=gru", "encoder=lstm")
    for cell, seed in product(("lstm", "gru"), (0, 1)):
        config = replace(network(cell, seed=seed), compare=[entry])
        put_run(tmp_path, config, answers(10 + seed), answers(10))
    unnamed = CompareConfig(run="encoder=gru", other="encoder=lstm")
    asked, notes = questions(only_group(tmp_path).variants, [entry, unnamed])
    assert [question.text for question in asked] == [
        "Is a GRU better?",
        "encoder=gru compared with encoder=lstm",
    ]
    assert notes == []


def test_a_report_answers_the_question_and_says_what_else_differs(tmp_path: Path) -> None:
    entry = CompareConfig("Is a GRU better?", "encoder=gru", "encoder=lstm")
    lstm = replace(network("lstm"), compare=[entry])
    gru = Config(EncoderConfig("gru", hidden_size=64))  # type: ignore[arg-type]
    for seed, (config, wrong) in product((0, 1), ((lstm, 60), (gru, 10))):
        put_run(tmp_path, replace(config, seed=seed), answers(wrong + seed), answers(wrong))
    blocks, _ = build_report(read_runs(tmp_path))
    [row] = rows_by_column(table_below(blocks, "Is a GRU better?"))
    assert (row[""], row["points"]) == ("gru-last encoder.hidden_size=64", "+25.00")
    assert row["compared with"] == "lstm-last encoder.hidden_size=128"
    assert row["verdict"] == "better, confounded"
    section = below(blocks, "Is a GRU better?")
    assert section[1] == Paragraph(
        "The interval and p account for the 1 comparison of this question, but not for those of "
        "other questions."
    )
    sentences, commands = (block for block in section if isinstance(block, Listing))
    assert sentences.items == [
        "gru-last encoder.hidden_size=64 and lstm-last encoder.hidden_size=128: They also differ "
        "in encoder.hidden_size (64 and 128), so the difference may come from it."
    ]
    assert commands.items == [
        "`python train.py -m encoder.cell=gru seed=0,1`",
        "`python train.py -m encoder.hidden_size=64 seed=0,1`",
    ]


def test_a_question_on_untested_variants_has_no_verdict(tmp_path: Path) -> None:
    for cell in ("lstm", "gru"):
        put_run(tmp_path, network(cell), None, answers(10))
    entry = CompareConfig(run="encoder=gru", other="encoder=lstm")
    blocks, _ = build_report(read_runs(tmp_path), [entry])
    [row] = rows_by_column(table_below(blocks, "encoder=gru compared with"))
    assert (row["points"], row["verdict"]) == ("–", "not tested")


def test_records_without_questions_are_read(tmp_path: Path) -> None:
    folder = put_run(tmp_path, network("gru"), answers(10), answers(10))
    amend(folder, lambda record: record["config"].pop("compare"))
    assert questions(only_group(tmp_path).variants) == ([], [])


def test_a_record_keeps_the_questions() -> None:
    config = Config(compare=[CompareConfig("Why?", "encoder=gru", "encoder=lstm")])
    assert restored(recorded(config)) == config


@pytest.mark.parametrize("side", ["run", "other"])
@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ("", r"must be choices, NAME=VALUE \.\.\. \(got ''\)"),
        ("gru", r"must be choices as on the command line, NAME=VALUE \.\.\. \(got 'gru'\)"),
        ("encoder=gru,", r"must be choices as on the command line.* \(got 'encoder=gru,'\)"),
        ("encodr=gru", r"must name choices of encoder, .* \(got 'encodr'\)"),
        ("encoder=gru seed=1", r"must name .* but not seed or test \(got 'seed'\)"),
        ("root=runs", r"must name .* part of the fingerprint.* \(got 'root'\)"),
    ],
)
def test_an_impossible_question_is_refused(side: str, overrides: str, problem: str) -> None:
    sides = {"run": "encoder=gru", "other": "head=last", side: overrides}
    with pytest.raises(InputError, match=rf"^compare\.{side} {problem}\.$"):
        CompareConfig(**sides)
