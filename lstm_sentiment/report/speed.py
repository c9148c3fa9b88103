"""The record of scripts/benchmark_peers.py as tables."""

from typing import Any

from lstm_sentiment.config import PRECISIONS

PEERS = {
    "keras": "Keras 500",
    "keras_masked": "Keras masked",
    "pytorch_padded": "PyTorch 500",
    "pytorch_packed": "PyTorch packed",
}


def markdown(record: dict[str, Any]) -> str:
    """For training and prediction: seconds of this project for all reviews, in both precisions,
    and how many times as long the others take, in fp32.

    "of the peak" is the arithmetic of the recurrences as everybody else does it, per second, as a
    share of what a large matrix product reaches.
    """
    training = [
        ["training", "fp32 s", *PEERS.values(), "of the peak", "bf16 s", *PEERS.values()],
        *(_row(net, record, "train_s", peak=True) for net in record["nets"]),
    ]
    prediction = [
        ["prediction", "fp32 s", *PEERS.values(), "bf16 s", *PEERS.values()],
        *(_row(net, record, "predict_s") for net in record["nets"]),
    ]
    return "\n\n".join(_table(*rows) for rows in (training, prediction))


def _table(header: list[str], *rows: list[str]) -> str:
    rule = ["---"] + ["--:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def _row(net: dict[str, Any], record: dict[str, Any], what: str, peak: bool = False) -> list[str]:
    slices = {
        (system["system"], system["precision"]): system["slices"] for system in net["systems"]
    }

    cells = [net["title"]]
    for precision in PRECISIONS:
        ours = slices["ours", precision]
        spent, reviews, tokens = (_sum(ours, key) for key in (what, "reviews", "tokens"))
        cells += [f"{spent / reviews * record['settings']['reviews']:.1f}"]
        cells += [_ratio(slices.get((name, "32-true")), ours, what) for name in PEERS]
        if peak and precision == "32-true":
            speed = net["flop_per_token"] * tokens / spent / 1e9
            cells += [f"{speed / net['gflops_peak'][precision]:.0%}"]
    return cells


def _ratio(theirs: list[dict[str, Any]] | None, ours: list[dict[str, Any]], what: str) -> str:
    """Over the slices that both took."""
    if not theirs:
        return ""
    both = {part["slice"] for part in theirs} & {part["slice"] for part in ours}
    spent = [_sum([p for p in parts if p["slice"] in both], what) for parts in (theirs, ours)]
    return f"{spent[0] / spent[1]:.1f}×"


def _sum(slices: list[dict[str, Any]], key: str) -> float:
    return sum(part[key] for part in slices)
