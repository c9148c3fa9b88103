"""Serve a model with LitServe, for the benchmark of the service: litserve_server RUN PORT.

LitServe is no dependency of the project: pip install litserve==0.2.19
"""

import sys
from typing import Any

from litserve import LitAPI, LitServer

from lstm_sentiment.serving.predictor import Prediction, Predictor

BATCH_SIZE = 64  # as the service has it by default
BATCH_TIMEOUT = 0.005  # seconds; LitServe forms no batches without a wait


class Api(LitAPI):
    """The requests and answers of the service's /v1/predict, for one text a request."""

    folder = ""

    def setup(self, device: str) -> None:
        """Load the model in the process that computes predictions."""
        self.predictor = Predictor.load(self.folder)

    def decode_request(self, request: dict[str, Any]) -> str:
        """Return the text of a request."""
        return request["texts"]

    def batch(self, inputs: list[str]) -> list[str]:
        """Return the texts of a batch."""
        return inputs

    def predict(self, x: list[str] | str) -> list[Prediction] | Prediction:
        """Return the predictions for the texts."""
        return self.predictor.predict(x)

    def unbatch(self, output: list[Prediction]) -> list[Prediction]:
        """Return the predictions of a batch."""
        return output

    def encode_response(self, output: Prediction) -> dict[str, Any]:
        """Return the answer for a text."""
        probabilities = zip(self.predictor.classes.names, output.probabilities, strict=True)
        return {"predictions": [{"label": output.label, "probabilities": dict(probabilities)}]}


def main() -> None:
    """Serve until a signal ends the process."""
    folder, port = sys.argv[1:]
    api = Api(max_batch_size=BATCH_SIZE, batch_timeout=BATCH_TIMEOUT, api_path="/v1/predict")
    api.folder = folder  # of this object, which is sent to the other process
    server = LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=int(port), log_level="error", generate_client_file=False)


if __name__ == "__main__":
    main()
