"""The HTTP service: trained models behind a JSON API, with batching, limits and metrics.

`server` starts it, `app` has the routes. Only this package imports FastAPI, uvicorn and Prometheus.
"""
