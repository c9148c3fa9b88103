"""Train a language model: the same command as `lstm-sentiment pretrain`."""

import sys

from lstm_sentiment.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["pretrain", *sys.argv[1:]]))
