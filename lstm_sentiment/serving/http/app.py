"""The routes of the service."""

from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response

from lstm_sentiment import __version__
from lstm_sentiment.errors import InputError
from lstm_sentiment.serving.http.answers import (
    add_error_handlers,
    answer_of,
    busy,
    documented,
    unavailable,
)
from lstm_sentiment.serving.http.batching import QueueFullError
from lstm_sentiment.serving.http.descriptions import model_details, model_entry
from lstm_sentiment.serving.http.loaded_models import LoadedModel
from lstm_sentiment.serving.http.pages import page_routes
from lstm_sentiment.serving.http.predictions import explanation_answer, prediction_answer
from lstm_sentiment.serving.http.schemas import (
    ModelDetails,
    ModelsAnswer,
    PredictAnswer,
    PredictRequest,
    Status,
)
from lstm_sentiment.serving.http.service import Explained, Service, State

JSON = "application/json"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# FastAPI would record the messages of errors, which may repeat a text, where a program has set up
# OpenTelemetry. Older versions have no such option and ignore it.
NO_TELEMETRY: Any = dict.fromkeys(("tracing", "metrics", "logs", "auto_configure"), False)

router = APIRouter()


def create_app(service: Service) -> FastAPI:
    """Return the application of a service, without its limits and its log; see `middleware`."""
    app = FastAPI(
        title="lstm_sentiment",
        version=__version__,
        summary="Classify texts with trained models.",
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.state.service = service
    app.include_router(router)
    app.router.routes.extend(page_routes())
    add_error_handlers(app)
    return app


def service_of(request: Request) -> Service:
    """Return the service that receives a request."""
    service: Service = request.app.state.service
    return service


def model_of(service: Service, name: str | None) -> LoadedModel:
    """Return a model. Raises HTTPException if there is none of this name, or none is loaded yet."""
    if not service.models.are_ready:
        raise unavailable("The models are being loaded: try again in a second.")
    if (model := service.models.get(name)) is None:
        raise HTTPException(
            404, f"There is no model {name!r:.100}: allowed are {service.models.names}."
        )
    return model


@router.post(
    "/v1/predict",
    summary="Classify texts",
    response_model=PredictAnswer,
    responses=documented(401, 404, 408, 413, 422, 503, 504),
)
async def predict(body: PredictRequest, request: Request) -> Response:
    """Return the predicted class and the probabilities of each text."""
    service = service_of(request)
    model = model_of(service, body.model)
    texts = [body.texts] if isinstance(body.texts, str) else body.texts
    check_texts(texts, body.explain, service)
    service.metrics.texts.labels(model.name).inc(len(texts))
    timeout = service.settings.timeout
    try:
        if body.explain:
            explanations = await answer_of(
                request, service.explanations.submit(Explained(model, body.label), texts), timeout
            )
            predictions = [*map(explanation_answer, explanations)]
        else:
            check_class(model, body.label)
            computed = await answer_of(request, service.predictions.submit(model, texts), timeout)
            predictions = [prediction_answer(each, model.predictor.classes) for each in computed]
    except QueueFullError as error:
        raise busy(error) from error
    except InputError as error:
        raise HTTPException(422, str(error)) from error
    answer = PredictAnswer(model=model.name, digest=model.digest, predictions=predictions)
    return Response(answer.model_dump_json(by_alias=True), media_type=JSON)


def check_texts(texts: list[str], explain: bool, service: Service) -> None:
    """Raise HTTPException if there are more texts, or longer ones, than a request may have."""
    settings = service.settings
    most = settings.max_explained if explain else settings.max_texts
    if len(texts) > most:
        kind = " with explain=true" if explain else ""
        raise HTTPException(
            422, f"texts has {len(texts):,} texts{kind}, more than the {most:,} allowed."
        )
    for number, text in enumerate(texts):
        if len(text) > settings.max_characters:
            raise HTTPException(
                422,
                f"texts[{number}] has {len(text):,} characters, more than the "
                f"{settings.max_characters:,} allowed.",
            )


def check_class(model: LoadedModel, label: str | None) -> None:
    """Raise InputError if the model has no class of this name."""
    model.predictor.label_of(label)


@router.get("/v1/models", summary="List the models", responses=documented(401, 503))
async def models(request: Request) -> ModelsAnswer:
    """Return the models, in the order of the command line."""
    service = service_of(request)
    model_of(service, None)
    return ModelsAnswer(models=[*map(model_entry, service.models.all())])


@router.get(
    "/v1/models/{name}", summary="Describe a model", responses=documented(401, 404, 422, 503)
)
def model(name: str, request: Request) -> ModelDetails:  # in a thread, since it reads files
    """Return a model with the record of its training."""
    return model_details(model_of(service_of(request), name))


@router.get("/healthz", summary="Whether the service runs")
async def healthz() -> Status:
    """Return "ok" as long as the process lives."""
    return Status(status="ok")


@router.get("/readyz", summary="Whether the service answers requests", responses=documented(503))
async def readyz(request: Request) -> Status:
    """Return "ok", or status 503 while models are loaded and during shutdown."""
    state = service_of(request).state
    if state is not State.ready:
        raise unavailable(f"The service is {state}.")
    return Status(status=state)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response,
            responses={200: {"content": {"text/plain": {}}}, **documented(401)})  # fmt: skip
async def metrics(request: Request) -> Response:
    """Return the metrics in the text format of Prometheus."""
    return Response(service_of(request).metrics.text(), media_type=METRICS_TYPE)
