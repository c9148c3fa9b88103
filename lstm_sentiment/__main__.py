"""python -m lstm_sentiment: the program `lstm-sentiment`."""

import sys

from lstm_sentiment.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
