"""From a composed config to parts: what may be named, what values may be, how parts are built."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# The folder of the config groups: an installed package has it inside, a checkout beside it.
CONF = str(_PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf")
ALLOW = "LSTM_AE_ALLOW"  # the environment variable that names modules of the user's own, with commas between
