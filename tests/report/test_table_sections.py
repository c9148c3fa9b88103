"""The tables of a report: the ranking, published results and verdicts."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from lstm_sentiment.config import Reference
from lstm_sentiment.report.page import Block, Paragraph, Table, markdown
from lstm_sentiment.report.ranking import markdown as ranking_markdown
from lstm_sentiment.report.table_sections import (
    CHOICE_NOTE,
    CONFOUNDED_NOTE,
    RANKING_NOTE,
    SEEDS_NOTE,
    SINGLE_REVIEWS_NOTE,
    VERDICT_NOTE,
    ranking_section,
    verdict_section,
)
from lstm_sentiment.runs.reader import read_runs
from tests.support.records import (
    COST,
    DATA,
    LABELS,
    answers,
    network,
    put_baseline,
    put_run,
    scores_of_probabilities,
)
from tests.support.reports import below, comparison, headings, plot, ranking, report, verdicts

PUBLISHED = "Comparison with published results"
BY_ACCURACY = "Variants are ranked by validation accuracy."


def test_a_row_has_means_over_seeds(tmp_path: Path) -> None:
    for seed, wrong in enumerate((10, 20, 30)):
        cost = COST | {"fit_seconds": 10.0 * (seed + 1), "peak_memory_mib": None}
        config = network("gru", "max", seed=seed)
        put_run(tmp_path, config, test=answers(wrong), val=answers(2 * wrong), cost=cost)
    [row] = ranking(report(tmp_path))
    low, high = row.pop("95 % interval").split(" to ")
    assert float(low) < 85 < 90 < 95 < float(high)  # wider than with one seed: the seeds differ
    expected = [scores_of_probabilities(LABELS, answers(wrong)) for wrong in (10, 20, 30)]

    def mean(score: str) -> float:
        return float(np.mean([each[score] for each in expected]))

    assert row == {
        "": "**gru-max**",
        "seeds": "3",
        "val %": "80.00 ± 10.00",
        "test %": "90.00 ± 5.00",
        "precision": f"{100 * mean('precision'):.2f}",
        "recall": f"{100 * mean('recall'):.2f}",
        "F1": f"{100 * mean('f1'):.2f}",
        "AUROC": f"{100 * mean('auroc'):.2f}",
        "loss": f"{mean('loss'):.3f}",
        "calibration error": "0.033",  # probabilities of 0.9, and 0.95, 0.9 and 0.85 are correct
        "parameters": "1,412,225",
        "training s": "20.0",
        "tokens/s": "150,000",
        "MiB": "–",
    }


def test_a_note_explains_the_ranking(three: list[Block]) -> None:
    note = f"{BY_ACCURACY} {RANKING_NOTE} {CHOICE_NOTE} {SINGLE_REVIEWS_NOTE}"
    assert Paragraph(note) in three
    assert "with one seed, it is over reviews only" in RANKING_NOTE


def test_a_note_explains_deviations_if_there_are_any(tmp_path: Path) -> None:
    for seed in range(2):
        put_run(tmp_path, network(seed=seed), answers(20), answers(10))
    note = f"{BY_ACCURACY} {RANKING_NOTE} {SEEDS_NOTE} {SINGLE_REVIEWS_NOTE}"
    assert Paragraph(note) in report(tmp_path)


def test_a_note_states_the_design_effect_of_groups(tmp_path: Path) -> None:
    """All reviews of a group of ten are mistakes, or none: they count as one."""
    right = np.repeat(np.arange(20) % 4 > 0, 10)
    test = np.where(right, answers(0), 1 - answers(0))
    data = DATA | {"groups": "film"}
    put_run(tmp_path, network(), test, answers(10), group=np.arange(200) // 10, data=data)
    text = markdown(report(tmp_path))
    effect = re.search(r"by film, of which there are 20: .* is (\S+) times", text)
    assert effect
    assert float(effect[1]) == pytest.approx(10, rel=0.06)


def test_a_note_states_that_all_reviews_are_of_one_group(tmp_path: Path) -> None:
    data = DATA | {"groups": "film"}
    group = np.zeros(200, int)
    put_run(tmp_path, network(), answers(20), answers(10), group=group, data=data)
    [note] = [
        block.text
        for block in ranking_section(comparison(tmp_path))
        if isinstance(block, Paragraph)
    ]
    assert note.endswith("All reviews are of one film, so they are sampled one by one.")
    assert "design effect" not in note


def test_each_table_of_verdicts_names_its_family(tmp_path: Path) -> None:
    for head, wrong in zip(("max", "avg", "last", "attention"), (10, 20, 30, 40), strict=True):
        put_run(tmp_path, network("gru", head), answers(wrong), answers(wrong))
    put_run(tmp_path, network("gru", "avg", seed=1), answers(20), answers(20))
    put_baseline(tmp_path, answers(50), answers(50))
    texts = [
        block.text
        for block in verdict_section(comparison(tmp_path))
        if isinstance(block, Paragraph)
    ]
    assert texts[:2] == [
        "Since gru-max was chosen by its validation accuracy, the family are all 6 pairs of "
        "networks.",
        "The family has 4 comparisons.",
    ]


def as_number(p: str) -> float:
    return 0.0009 if p == "<0.001" else float(p)


def test_a_verdict_needs_a_significant_difference(tmp_path: Path) -> None:
    put_run(tmp_path, network("gru", "max"), answers(40), answers(10))
    for head, wrong in zip(("avg", "last", "attention"), (30, 41, 60), strict=True):
        put_run(tmp_path, network("gru", head), answers(wrong), answers(20))
    put_baseline(tmp_path, answers(10), answers(30))
    blocks = report(tmp_path)
    to_best, to_baseline = (verdicts(blocks, name) for name in ("gru-max", "ngrams-logistic"))
    assert {name: row["points"] for name, row in to_best.items()} == {
        "gru-avg": "+5.00",
        "gru-last": "-0.50",
        "gru-attention": "-10.00",
    }
    assert to_baseline["gru-max"]["points"] == "-15.00"
    for row in (*to_best.values(), *to_baseline.values()):
        significant = as_number(row["p"]) < 0.05
        kind = "better" if float(row["points"]) > 0 else "worse"
        assert row["verdict"] == (kind if significant else "not significantly different")
    undecided = [row for row in to_best.values() if row["verdict"] == "not significantly different"]
    assert len(undecided) == 1
    low, high = map(float, to_best["gru-attention"]["95 % interval"].split(" to "))
    assert low < -10 < high < 0
    assert blocks.count(Paragraph(f"{VERDICT_NOTE} {CONFOUNDED_NOTE}")) == 1
    assert to_best["gru-avg"]["differs in"] == "head.kind"
    assert to_baseline["gru-avg"]["differs in"].startswith("kind of model")


def test_p_values_are_corrected_for_the_number_of_comparisons(tmp_path: Path) -> None:
    # On six reviews only the best network is right. The difference is 6 / 200, and its error
    # sqrt(6 + 2) / 200 (less the square of the mean): t is 2.15. The three equal comparisons of
    # the second report count as little more than one, but McNemar's p-values as three.
    put_run(tmp_path, network("gru", "max"), answers(20), answers(10))
    put_run(tmp_path, network("gru", "avg"), answers(26), answers(20))
    [alone] = verdicts(report(tmp_path), "gru-max").values()
    assert as_number(alone["p"]) == pytest.approx(
        2 * student.sf(6 / np.sqrt(6 - 36 / 200 + 2), 199), abs=0.001
    )
    assert alone["verdict"] == "worse"
    assert alone["p of McNemar, by seed"] == "0.031"  # 2 / 2^6
    for head in ("last", "attention"):
        other = np.roll(answers(26), 100 if head == "last" else 50)
        put_run(tmp_path, network("gru", head), other, answers(20))
    row = verdicts(report(tmp_path), "gru-max")["gru-avg"]
    assert as_number(alone["p"]) < 0.05 < as_number(row["p"]) <= 3 * as_number(alone["p"])
    assert row["verdict"] == "not significantly different"
    assert row["p of McNemar, by seed"] == "0.094"


def test_verdicts_are_relative_to_the_best_network_and_the_best_baseline(tmp_path: Path) -> None:
    put_baseline(tmp_path, answers(40), answers(15))
    put_run(tmp_path, network("gru", "max"), answers(10), answers(20))
    put_run(tmp_path, network("gru", "avg"), answers(10), answers(21))
    titles = [each for each in headings(report(tmp_path)) if each.startswith("Comparison with")]
    assert titles == [
        "Comparison with gru-max, the best network",
        "Comparison with ngrams-logistic, the best n-gram baseline",
    ]


def test_without_validation_scores_no_baseline_is_called_the_best(tmp_path: Path) -> None:
    put_baseline(tmp_path, answers(40), None)
    put_baseline(tmp_path, answers(30), None, kind="nb_svm")
    put_run(tmp_path, network("gru", "max"), answers(10), None)
    blocks = report(tmp_path)
    title = "ngrams-logistic, the first n-gram baseline (none has validation scores)"
    assert f"Comparison with {title}" in headings(blocks)
    assert plot(blocks, "confusion").title.endswith("(the first 3 variants).")


def test_the_penalty_of_a_baseline_follows_from_its_kind(tmp_path: Path) -> None:
    put_baseline(tmp_path, answers(40), answers(15))
    put_baseline(tmp_path, answers(30), answers(20), kind="nb_svm")
    row = verdicts(report(tmp_path), "ngrams-logistic")["ngrams-nb_svm"]
    assert row["differs in"] == "ngrams.kind"


def test_published_scores_are_beside_ours(tmp_path: Path) -> None:
    references = [
        Reference("encoder=gru head=max", accuracy=0.87, loss=0.35, source="a paper"),
        Reference("encoder=lstm", accuracy=0.9, source="a blog"),
    ]
    put_run(tmp_path, network("gru", "max", reference=references), answers(20), answers(10))
    put_run(tmp_path, network("rnn", "max"), answers(30), answers(30))
    table, _ = below(report(tmp_path), PUBLISHED)
    assert isinstance(table, Table)
    assert table.columns[1:] == [
        "source of the published score",
        "test score",
        "published",
        "ours",
        "difference",
        "labels there",
        "what differs there",
    ]
    # A tenth of the predictions, all with probability 0.9, is wrong: -0.9 ln 0.9 - 0.1 ln 0.1.
    unknown = ["not stated", "–"]
    paper = ["gru-max", "a paper: encoder=gru head=max"]
    assert table.rows == [
        [*paper, "accuracy", "87.00", "90.00", "+3.00", *unknown],
        [*paper, "loss", "0.3500", "0.3251", "-0.0249", *unknown],
        ["encoder=lstm", "a blog: encoder=lstm", "accuracy", "90.00", "not trained", "–", *unknown],
    ]


@pytest.mark.parametrize(
    ("description", "cells"),
    [
        ({"labels": 900, "reviews": 1_300}, ["900", "–"]),
        ({"labels": 25_000}, ["25,000", "25,000 labels, ours 900"]),
        (
            {"labels": 25_000, "reviews": 50_000, "otherwise": "one *run*"},
            ["25,000", "25,000 labels, ours 900; 50,000 reviews in all, ours 1,300; one \\*run\\*"],
        ),
        ({"otherwise": "padding not described"}, ["not stated", "padding not described"]),
    ],
)
def test_a_row_says_what_differs_from_the_published_system(
    tmp_path: Path, description: dict[str, Any], cells: list[str]
) -> None:
    """Our runs use 900 reviews for training, 200 for validation and 200 for the test."""
    reference = Reference("encoder=gru", accuracy=0.87, source="a paper", **description)
    put_run(tmp_path, network("gru", reference=[reference]), answers(20), answers(10))
    table, *_ = below(report(tmp_path), PUBLISHED)
    assert isinstance(table, Table)
    [row] = table.rows
    assert row[-2:] == cells


def note_on_published(root: Path, reviews: int | None, source: str = "a paper") -> str:
    """Return the text below published scores; our runs use 1,300 reviews."""
    reference = Reference("encoder=gru", accuracy=0.87, source=source, reviews=reviews)
    put_run(root, network("gru", reference=[reference]), answers(20), answers(10))
    _, *notes = below(report(root), PUBLISHED)
    return "".join(note.text for note in notes if isinstance(note, Paragraph))


@pytest.mark.parametrize(
    ("reviews", "amount"), [(50_000, "50,000 labelled"), (None, "an unknown number of labelled")]
)
def test_a_note_says_if_published_scores_are_of_another_number_of_reviews(
    tmp_path: Path, reviews: int | None, amount: str
) -> None:
    note = note_on_published(tmp_path, reviews)
    assert note.startswith(f"a paper used {amount} reviews; our runs used 1,300 for training")


def test_published_scores_of_as_many_reviews_need_no_note(tmp_path: Path) -> None:
    assert note_on_published(tmp_path, 1_300) == ""


def test_a_published_score_without_a_source_says_so(tmp_path: Path) -> None:
    assert note_on_published(tmp_path, None, "").startswith("the source that is not named used")
    table, *_ = below(report(tmp_path), PUBLISHED)
    assert isinstance(table, Table)
    assert table.rows[0][1] == "source not named: encoder=gru"


def test_without_validation_nothing_is_said_to_be_ranked_by_it(tmp_path: Path) -> None:
    for cell in ("gru", "lstm"):
        put_run(tmp_path, network(cell), answers(20), None, data=DATA | {"val": None})
    text = markdown(report(tmp_path)) + ranking_markdown(read_runs(tmp_path))
    assert "ranked by validation" not in text
    assert text.count("No variant has validation scores, so they are listed by name.") == 3


def test_without_published_scores_there_is_no_section(three: list[Block]) -> None:
    assert PUBLISHED not in headings(three)
