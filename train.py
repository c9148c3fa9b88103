"""Train what the command line names: one network, or with -m a sweep of them."""

import sys

from lstm_sentiment.commands import train

if __name__ == "__main__":
    sys.exit(train.main())
