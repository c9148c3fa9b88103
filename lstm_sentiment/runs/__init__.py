"""The folder of a run: its name, and how its files are written and read."""
