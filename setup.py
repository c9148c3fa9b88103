"""Ship conf/ inside the package, as lstm_sentiment/conf; everything else is in pyproject.toml."""

from setuptools import find_namespace_packages, find_packages, setup

setup(
    packages=[
        *find_packages(include=["lstm_sentiment*"]),
        "lstm_sentiment.conf",
        *find_namespace_packages(include=["hydra_plugins.*"]),  # Hydra's launchers
    ],
    package_dir={"lstm_sentiment.conf": "conf"},
)
