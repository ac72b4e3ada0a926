"""What can go wrong while a database of our own is started."""


class EmbeddedError(RuntimeError):
    """The embedded database cannot start; the text says why and what to do, in words for people."""
