"""A running service for the tests of the page."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.file_prediction import predict_file
from lstm_sentiment.serving.file_reading import FileReading
from lstm_sentiment.serving.http.pages import page_routes
from lstm_sentiment.serving.predictor import Predictor


@contextmanager
def serving(runs: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(stand_in(runs), port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


def stand_in(runs: Any) -> FastAPI:
    app = FastAPI()
    app.router.routes.extend(page_routes())
    folders = {p.name: p for p in runs}
    P = {n: Predictor.load(r) for n, r in folders.items()}

    @app.exception_handler(InputError)
    def err(_: Any, e: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(e)}, 422)

    def entry(n: str) -> Any:
        p, rec = P[n], None
        if (folders[n] / "run.json").exists():
            rec = json.loads((folders[n] / "run.json").read_text())
        exp = getattr(p, "classifier", 1) is not None
        return rec, {
            "name": n,
            "kind": "network" if exp else "exported",
            "digest": "sha256-" + "0123456789abcdef" * 4,
            "classes": list(p.classes.names),
            "explains": exp,
            "max_length": p.config.data.max_length,
            "recipe": {"encoder": "lstm", "head": "last", "optimizer.lr": 0.002},
            "scores": rec and {s: rec[s] for s in ("val", "test")},
        }

    @app.get("/v1/models")
    def models() -> Any:
        return {"models": [entry(n)[1] for n in P]}

    @app.get("/v1/models/{n}")
    def model(n: str) -> Any:
        rec, e = entry(n)
        e["record"] = rec and {
            "epochs": rec["epochs"],
            "confusion": {s: rec[s] and rec[s]["confusion_matrix"] for s in ("val", "test")},
            "parameters": rec["cost"]["parameters"],
            "tokens_per_s": 1.0,
            "calibration": [{"probability": 0.55, "accuracy": 0.5, "count": 1000}],
        }
        return e

    @app.post("/v1/predict")
    def predict(body: dict[str, Any]) -> Any:
        n = body.get("model") or next(iter(P))
        p, out = P[n], []
        for t in body["texts"]:
            r, e = p.predict(t), None
            if body.get("explain"):
                x = p.explain(t, body.get("class"))
                e = {
                    "class": p.classes.names[x.label],
                    "method": x.attribution.method.sentence,
                    "unread": x.unread,
                    "tokens": [
                        {"text": a, "contribution": c, "known": k}
                        for a, c, k in zip(
                            x.tokens, x.attribution.contributions, x.known, strict=True
                        )
                    ],
                }
            out.append(
                {
                    "label": r.label,
                    "probabilities": dict(zip(p.classes.names, r.probabilities, strict=True)),
                    "explanation": e,
                }
            )
        return {"model": n, "digest": "d", "predictions": out}

    @app.post("/v1/predict/file")
    async def pf(
        request: Request, format: str, model: str | None = None, text_column: str | None = None
    ) -> Any:
        import tempfile

        d = Path(tempfile.mkdtemp())
        f, o = d / f"in.{format}", d / f"out.{format}"
        f.write_bytes(await request.body())
        predict_file(P[model or next(iter(P))], f, o, FileReading())
        return StreamingResponse(iter([o.read_bytes()]), media_type="text/csv")

    return app
