"""Use a trained network: predict, evaluate, explain and export."""
