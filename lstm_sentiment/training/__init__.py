"""One configuration in, one run with its record out."""
