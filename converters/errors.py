"""What the converters raise."""


class ConversionError(ValueError):
    """A file or network that cannot be converted; the message says what was found and why."""
