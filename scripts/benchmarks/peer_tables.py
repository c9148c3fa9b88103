"""Tables of the measurements of scripts.benchmarks.peers."""

from typing import Any

from lstm_sentiment.config import PRECISIONS
from scripts.markdown import table

PEERS = {
    "keras": "Keras 500",
    "keras_masked": "Keras masked",
    "pytorch_padded": "PyTorch 500",
    "pytorch_packed": "PyTorch packed",
}


def markdown(record: dict[str, Any]) -> str:
    """Return two tables, for training and for prediction.

    They show the seconds that this project takes for all reviews in both precisions, and how many
    times as long the other systems take in fp32. "of the peak" is the arithmetic of the recurrences
    per second, counted without this project's savings, as a share of the speed of a large matrix
    product.
    """
    training = table(
        ["training", "fp32 s", *PEERS.values(), "of the peak", "bf16 s", *PEERS.values()],
        [_row(net, record, "train_s", peak=True) for net in record["nets"]],
    )
    prediction = table(
        ["prediction", "fp32 s", *PEERS.values(), "bf16 s", *PEERS.values()],
        [_row(net, record, "predict_s") for net in record["nets"]],
    )
    return f"{training}\n\n{prediction}"


def _row(net: dict[str, Any], record: dict[str, Any], key: str, peak: bool = False) -> list[str]:
    slices = {
        (system["system"], system["precision"]): system["slices"] for system in net["systems"]
    }
    cells = [net["title"]]
    for precision in PRECISIONS:
        ours = slices["ours", precision]
        spent, reviews, tokens = (_sum(ours, name) for name in (key, "reviews", "tokens"))
        cells += [f"{spent / reviews * record['settings']['reviews']:.1f}"]
        cells += [_ratio(slices.get((name, "32-true")), ours, key) for name in PEERS]
        if peak and precision == "32-true":
            speed = net["flop_per_token"] * tokens / spent / 1e9
            cells += [f"{speed / net['gflops_peak'][precision]:.0%}"]
    return cells


def _ratio(theirs: list[dict[str, Any]] | None, ours: list[dict[str, Any]], key: str) -> str:
    """Return how many times as long the other system took for the slices that both took."""
    if not theirs:
        return ""
    both = {part["slice"] for part in theirs} & {part["slice"] for part in ours}
    spent = [_sum([p for p in parts if p["slice"] in both], key) for parts in (theirs, ours)]
    return f"{spent[0] / spent[1]:.1f}×"


def _sum(slices: list[dict[str, Any]], key: str) -> float:
    return sum(part[key] for part in slices)
