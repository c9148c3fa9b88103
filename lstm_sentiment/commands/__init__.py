"""The commands; only this package uses Hydra, argparse and consoles."""
