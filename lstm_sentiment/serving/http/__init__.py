"""The HTTP service: `lstm-sentiment serve`."""
