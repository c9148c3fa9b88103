"""The routes of the service."""

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response

from lstm_sentiment import __version__
from lstm_sentiment.config import Delimiter, Quoting
from lstm_sentiment.serving.http import openapi
from lstm_sentiment.serving.http.answers import (
    add_error_handlers,
    answer_of,
    documented,
    unavailable,
)
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
from lstm_sentiment.serving.http.uploads import CONTENT_TYPES, Format, format_of, predicted_file

JSON = "application/json"
FILE_CONTENT = {media: {"schema": {"type": "string"}} for media in CONTENT_TYPES}
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
        description="Classify texts with trained models.",
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.state.service = service
    app.include_router(router)
    app.router.routes.extend(page_routes())
    app.include_router(openapi.router)
    app.openapi = openapi.schema_maker(app, service.settings)  # type: ignore[method-assign]
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
    request.state.log = {"model": model.name, "texts": len(texts), "explain": body.explain}
    timeout = service.settings.timeout
    if body.explain:
        waiting = service.explanations.submit(Explained(model, body.label), texts)
        explanations = await answer_of(request, waiting, timeout)
        predictions = [*map(explanation_answer, explanations)]
    else:
        model.predictor.label_of(body.label)  # refuses the name of a class that does not exist
        computed = await answer_of(request, service.predictions.submit(model, texts), timeout)
        predictions = [prediction_answer(each, model.predictor.classes) for each in computed]
    answer = PredictAnswer(model=model.name, digest=model.digest, predictions=predictions)
    return Response(answer.model_dump_json(by_alias=True), media_type=JSON)


@router.post(
    "/v1/predict/file",
    summary="Classify the rows of a file",
    response_class=Response,
    responses={
        200: {
            "description": "The same rows with columns for the class and its probability.",
            "content": FILE_CONTENT,
        },
        **documented(401, 404, 408, 413, 415, 422, 503),
    },
    openapi_extra={"requestBody": {"required": True, "content": FILE_CONTENT}},
)
async def predict_file(
    request: Request,
    model: Annotated[str | None, Query(description="name of the model")] = None,
    format: Annotated[
        Format | None, Query(description="format of the file; by default, that of Content-Type")
    ] = None,
    text_column: Annotated[str | None, Query(description="column of the texts")] = None,
    delimiter: Annotated[Delimiter | None, Query(description="of a CSV or TSV file")] = None,
    encoding: Annotated[str | None, Query(description="of a CSV or TSV file")] = None,
    quoting: Annotated[Quoting | None, Query(description="of a CSV or TSV file")] = None,
) -> Response:
    """Return the rows of the file in the body, with predictions, while they are computed.

    By default, the file is read as the files of the training were. If a row cannot be read, the
    answer ends without its last chunk.
    """
    service = service_of(request)
    chosen, suffix = model_of(service, model), format_of(request, format)
    options = {
        "text_column": text_column,
        "delimiter": delimiter,
        "encoding": encoding,
        "quoting": quoting,
    }
    return await predicted_file(request, service, chosen, suffix, options)


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


@router.get("/v1/models", summary="List the models", responses=documented(401, 503))
async def models(request: Request) -> ModelsAnswer:
    """Return the models, in the order of the command line."""
    service = service_of(request)
    model_of(service, None)
    return ModelsAnswer(models=[*map(model_entry, service.models.all())])


@router.get(
    "/v1/models/{name}", summary="Describe a model", responses=documented(401, 404, 422, 503)
)
async def model(name: str, request: Request) -> ModelDetails:
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
