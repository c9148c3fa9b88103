"""review -> tokens -> ids -> batch."""
