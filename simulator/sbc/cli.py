"""The incremental CLI script: applied line by line; what comes before a wrong line stays (facts 1.2, 5.3)."""

from __future__ import annotations

import shlex

from simulator.sbc.tables import KINDS, Configuration, RefusedError, Row

FORBIDDEN = frozenset({"copy", "reload", "erase", "write-and-backup", "debug"})


class ScriptError(Exception):
    """A line that was refused, with its number."""


class Session:
    """Where the cursor of the command line stands, and the row under construction."""

    def __init__(self, configuration: Configuration) -> None:
        self._config = configuration
        self._place: list[tuple[str, tuple[int, ...]]] = []  # the rows that were entered, outermost first
        self._row: Row | None = None
        self._in_voip = False
        self.saved = False

    def run(self, script: str) -> int:
        """How many lines were carried out. Raises ScriptError."""
        done = 0
        for number, line in enumerate(script.replace("\r\n", "\n").split("\n"), 1):
            try:
                words = shlex.split(line, comments=False)
                if words and not words[0].startswith("!"):
                    self._line(words)
                    done += 1
            except (RefusedError, ValueError) as error:
                raise ScriptError(f"line {number} '{line.strip()}': {error}") from error
        return done

    def _line(self, words: list[str]) -> None:
        first = words[0]
        if first in FORBIDDEN:
            raise RefusedError("the command is not allowed in a script")
        if first in {"show", "display"}:
            return
        if words in (["do", "write"], ["write"]):
            self.saved = True
        elif words[:2] == ["configure", "voip"]:
            self._in_voip, self._place, self._row = True, [], None
        elif first in {"exit", "quit"}:
            self._exit()
        elif first == "activate":
            self._activate()
        elif first == "no":
            self._config.remove(*self._table(words[1:]))
        elif not self._in_voip:
            raise RefusedError("Invalid command")
        elif self._sets(words):
            return
        else:
            # An unfinished change of the row before is dropped: only `activate` keeps it.
            command, key = self._table(words)
            self._place.append((command, key))
            self._row = dict(self._config.rows[command].get(key, {}))

    def _sets(self, words: list[str]) -> bool:
        """Whether the line gave a value to the row under construction."""
        if self._row is None or len(words) != 2:
            return False
        column = KINDS[self._place[-1][0]].columns.get(words[0])
        if column is None:
            return False
        self._row[column] = words[1]
        return True

    def _table(self, words: list[str]) -> tuple[str, tuple[int, ...]]:
        """The table and index that these words name. Raises RefusedError."""
        command, index = " ".join(words[:-1]), words[-1] if words else ""
        kind = KINDS.get(command)
        if kind is None or not index.isdecimal():
            raise RefusedError("Invalid command")
        if not kind.inside:
            self._place = []
            return command, (int(index),)
        while self._place and self._place[-1][0] != kind.inside:
            self._place.pop()
        if not self._place or self._place[-1][1] not in self._config.rows[kind.inside]:
            raise RefusedError("Invalid command")
        return command, (self._place[-1][1][0], int(index))

    def _activate(self) -> None:
        if self._row is None:
            raise RefusedError("there is nothing to activate")
        command, key = self._place[-1]
        self._config.put(command, key, dict(self._row))

    def _exit(self) -> None:
        self._row = None
        if self._place:
            self._place.pop()
        else:
            self._in_voip = False
