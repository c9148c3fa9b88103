"""The benchmark of language models times a step beside the peak of the machine."""

from tests.support.project import RunCommand

SMALL = ("encoder.hidden_size=4", "embedding.dim=4", "data.max_vocab=50", "data.max_length=6")


def test_it_times_whole_reviews_and_reviews_in_a_row(script: RunCommand) -> None:
    for truncation in ("null", "5"):
        words = [*SMALL, f"language_model.truncation={truncation}"]
        result = script("scripts.benchmarks.language_model", "--turns=1", *words)
        assert result.code == 0, result.text
        tokens, _, _, share, *_ = result.text.splitlines()[-1].split()
        assert float(tokens.replace(",", "")) > 0
        assert 0 <= float(share.rstrip("%")) < 100


def test_a_wrong_word_is_reported_without_a_traceback(script: RunCommand) -> None:
    result = script("scripts.benchmarks.language_model", "language_model.softmax=none")
    assert result.code == 1
    assert "Traceback" not in result.text
    assert "adaptive" in result.text
