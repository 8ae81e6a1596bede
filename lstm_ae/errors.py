"""What goes wrong by the user's hand, said in a few lines instead of a traceback."""


class UserError(Exception):
    """Something the user can mend; its text says what was found and what would be accepted."""


class ConfigError(UserError):
    """A setting that cannot be used: names the key, the value and what would be accepted."""

    def __init__(self, key: str, value: object, accepted: str) -> None:
        super().__init__(f"{key}={'null' if value is None else value}: {accepted}")
        self.key = key


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived; a KeyboardInterrupt, so that it ends a sweep and not only one of its jobs."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class Pruned(Exception):
    """A search has seen enough of this run."""
