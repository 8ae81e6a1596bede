"""From a composed config to parts: what may be named, what values may be, how parts are built."""

ALLOW = "LSTM_AE_ALLOW"  # the environment variable that names modules of the user's own, with commas between
