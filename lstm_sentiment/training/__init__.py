"""Training: it turns a configuration into a run with a record."""
