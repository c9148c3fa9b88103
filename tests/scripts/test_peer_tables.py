from typing import Any

from scripts.benchmarks.peer_tables import markdown


def system(name: str, precision: str, *slices: tuple[int, float, float]) -> dict[str, Any]:
    """Slices of 500 reviews: number, seconds of training, seconds of prediction."""
    keys = ("slice", "train_s", "predict_s")
    parts = [dict(zip(keys, part, strict=True)) | {"reviews": 500} for part in slices]
    return {
        "system": name,
        "precision": precision,
        "slices": [part | {"tokens": 50_000} for part in parts],
    }


def test_a_worked_table() -> None:
    record = {
        "settings": {"reviews": 1000},
        "nets": [
            {
                "title": "LSTM 100",
                "flop_per_token": 1_000_000,
                "gflops_peak": {"32-true": 100.0, "bf16-mixed": 400.0},
                "systems": [
                    system("ours", "32-true", (0, 0.5, 0.2), (1, 1.5, 0.3)),
                    system("ours", "bf16-mixed", (0, 0.25, 0.1), (1, 0.75, 0.15)),
                    system("keras", "32-true", (0, 3.0, 1.0), (1, 4.0, 1.0)),
                    # Compared over the slice that it took: 5 s against half a second.
                    system("pytorch_packed", "32-true", (0, 5.0, 2.0)),
                ],
            }
        ],
    }
    # 1000 reviews of 100 tokens of 1 MFLOP are 100 GFLOP: in 2 s, half of a peak of 100 GFLOP/s.
    peers = "Keras 500 | Keras masked | PyTorch 500 | PyTorch packed"
    assert markdown(record).splitlines() == [
        f"| training | fp32 s | {peers} | of the peak | bf16 s | {peers} |",
        "| --- |" + " --: |" * 11,
        "| LSTM 100 | 2.0 | 3.5× |  |  | 10.0× | 50% | 1.0 | 7.0× |  |  | 20.0× |",
        "",
        f"| prediction | fp32 s | {peers} | bf16 s | {peers} |",
        "| --- |" + " --: |" * 10,
        "| LSTM 100 | 0.5 | 4.0× |  |  | 10.0× | 0.2 | 8.0× |  |  | 20.0× |",
    ]
