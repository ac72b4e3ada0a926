"""One line a record: time, level, logger, sentence, fields; with secrets masked whatever wrote them."""

import logging

from core.redaction import redact, redact_text

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class RedactingFormatter(logging.Formatter):
    """Fields given as `extra=` are printed as key=value; control characters are escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        fields.pop("request", None)
        line = super().format(record)
        tail = " ".join(f"{key}={value}" for key, value in redact(fields).items())
        whole = redact_text(f"{line} {tail}".rstrip())
        return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in whole)
