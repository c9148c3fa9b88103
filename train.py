"""Train what the command line names: the same command as `lstm-sentiment train`."""

import sys

from lstm_sentiment.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
