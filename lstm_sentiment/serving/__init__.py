"""Use a trained model: predict, evaluate, explain and export."""
