"""Ship conf/ inside the package, as lstm_sentiment/conf; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["lstm_sentiment*"]), "lstm_sentiment.conf"],
    package_dir={"lstm_sentiment.conf": "conf"},
)
