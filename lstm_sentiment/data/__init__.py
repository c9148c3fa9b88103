"""The data of a run: reviews, tokens, ids and batches."""
