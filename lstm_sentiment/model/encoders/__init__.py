"""embedding -> encoder: networks that read a review's word vectors, padding excluded."""

from lstm_sentiment.config import EncoderConfig
from lstm_sentiment.model.encoders.contract import Encoder
from lstm_sentiment.model.encoders.recurrent import RecurrentEncoder


def build_encoder(config: EncoderConfig, input_size: int) -> Encoder:
    """Return the untrained encoder that `config` describes, for word vectors of `input_size`."""
    return RecurrentEncoder(config, input_size)
