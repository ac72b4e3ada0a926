"""What is wrong with a scenario script, where, and what to do (SBC-24, CHK-14, facts/audiocodes.md 5.4).

An error is certain: such a script is not carried out. A warning is something that the portal does not know: the facts
about the command line are mostly unconfirmed, so a table that is not listed may exist all the same.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from audiocodes.script_tables import (
    AREAS,
    BY_PATH,
    BY_WORD,
    EXITS,
    LOOKS,
    SECRET_PARAMETERS,
    TABLES,
    Known,
    forbidden,
)
from audiocodes.script_text import Placeholder, ScriptLine, Word, parse
from audiocodes.script_values import AUTOMATIC, Kind, RefusedValueError, Variable, check_value, is_name

MOST_LINES, LONGEST, LONGEST_LINE = 2_000, 100_000, 500
MOST_FINDINGS = 200
_LONGEST_PATH = max(len(path.split()) for path in BY_PATH)
"""Words."""
ERROR: Literal["error"] = "error"
WARNING: Literal["warning"] = "warning"
CLOSE = 0.8
"""From here on, a word that is not known is a slip of the pen for one that is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`line` and `column` count from 1; both are 0 for something about the template as a whole."""

    line: int
    column: int
    severity: Literal["error", "warning"]
    what: str
    remedy: str

    @property
    def is_error(self) -> bool:
        return self.severity == ERROR


def lint(script: str, variables: Sequence[Variable], purpose: str, *, paired: bool = True) -> list[Finding]:
    """Everything that is wrong, in the order of the lines, at most MOST_FINDINGS.

    `purpose` is "onboarding" or "cleanup"; `paired` says whether an onboarding script has its clean-up.
    """
    if len(script) > LONGEST or script.count("\n") >= MOST_LINES:
        what = f"The script is longer than {LONGEST} characters or {MOST_LINES} lines."
        return [Finding(0, 0, ERROR, what, "Make two templates of it.")]
    lines = parse(script)
    linter = _Linter({each.name: each for each in variables}, purpose)
    linter.variables(variables)
    for line in lines:
        if len(linter.findings) >= MOST_FINDINGS:
            break  # nobody reads more, and a script may have a hundred thousand signs
        linter.line(line)
    linter.end(lines, paired=paired)
    return sorted(linter.findings, key=lambda found: (found.line, found.column))[:MOST_FINDINGS]


@dataclass(slots=True)
class _Row:
    """A row that the script has entered."""

    line: int
    path: str
    known: Known | None
    unfinished: int = 0
    """The line of a value that no `activate` has kept yet."""


@dataclass(slots=True)
class _Linter:
    known: dict[str, Variable]
    purpose: str
    findings: list[Finding] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    area: str = ""
    rows: list[_Row] = field(default_factory=list)
    sends: bool = False

    def find(
        self, line: int, column: int, what: str, remedy: str, severity: Literal["error", "warning"] = ERROR
    ) -> None:
        self.findings.append(Finding(line, column, severity, what, remedy))

    # Of variables ------------------------------------------------------------------------------------------------

    def variables(self, given: Sequence[Variable]) -> None:
        for name, times in Counter(each.name for each in given).items():
            if times > 1:
                self.find(0, 0, f"The variable {name} is there {times} times.", "Keep one of them.")
        for each in given:
            for what, remedy in _variable(each):
                self.find(0, 0, what, remedy)

    # Of lines ----------------------------------------------------------------------------------------------------

    def line(self, line: ScriptLine) -> None:
        for column, what, remedy in line.problems:
            self.find(line.number, column, what, remedy)
        if len(line.text) > LONGEST_LINE:
            self.find(
                line.number,
                LONGEST_LINE + 1,
                f"The line is longer than {LONGEST_LINE} characters.",
                "Shorten it.",
            )
            return
        for place in line.places:
            self.place(line, place)
        if line.words:
            self.sends = True
            self.command(line)

    def place(self, line: ScriptLine, place: Placeholder) -> None:
        at = (line.number, place.column)
        for name in place.values:
            self.used.add(name)
            if name not in self.known and name not in AUTOMATIC:
                self.find(*at, f"{name} is no variable of this template.", _did_you(name, self.names))
            elif name in self.known and self.known[name].is_secret and place.kind != "value":
                self.find(*at, f"{name} is secret and cannot be part of a name.", "Use another variable.")
        if place.kind == "value":
            return
        known = BY_WORD.get(place.table)
        if known is None:
            self.find(*at, f"No table is called {place.table}.", _did_you(place.table, [*BY_WORD]))
        elif known.inside:
            self.find(
                *at,
                f"Rows of {known.path} are counted inside their {known.inside}.",
                "Write the number itself: inside a new row the first one is 0.",
            )
        elif place.kind == "row" and not known.name:
            self.find(
                *at, f"Rows of {known.path} have no name that is known here.", "Write the number itself."
            )
        elif place.kind == "new" and self.purpose == "cleanup":
            self.find(*at, "A clean-up script makes no rows.", f"Use {{{{row:{place.table}:NAME}}}}.")

    @property
    def names(self) -> list[str]:
        return [*self.known, *AUTOMATIC]

    def command(self, line: ScriptLine) -> None:
        first = line.words[0]
        if first.literal is None:
            self.find(
                line.number, first.column, "A value stands where a command belongs.", "Write the command."
            )
            return
        for word in line.words[1:-1]:
            if word.places:
                self.find(
                    line.number, word.places[0].column, "A value stands where a command belongs.",
                    "Only the last word of a line may have placeholders.",
                )  # fmt: skip
                return
        if first.literal in _COMMANDS:
            _COMMANDS[first.literal](self, line)
        elif not self._is_forbidden(line, 0):
            self._other(line)

    def _is_forbidden(self, line: ScriptLine, at: int) -> bool:
        word = line.says(at)
        if word in {each.path.split(" ")[0] for each in TABLES} or self._is_parameter(word):
            return False
        meant = forbidden(word)
        if meant:
            self.find(
                line.number,
                line.words[at].column,
                f"The command {meant} is not allowed in a script.",
                "Take the line out: a script writes rows of tables, and the portal saves the SBC itself."
                if meant.startswith("write")
                else "Take the line out: a script writes rows of tables and nothing else.",
            )
        return bool(meant)

    def _is_parameter(self, word: str) -> bool:
        row = self.rows[-1] if self.rows else None
        return row is not None and row.known is not None and word in row.known.parameters

    def configure(self, line: ScriptLine) -> None:
        area = line.says(1)
        if self.rows:
            self._unclosed(line.number, line.words[0].column)
        if len(line.words) != 2 or area not in AREAS:
            self.find(
                line.number,
                line.words[-1].column,
                "A script writes in configure voip and configure network only.",
                _did_you(area, AREAS),
            )
        self.area, self.rows = area if area in AREAS else AREAS[0], []

    def do(self, line: ScriptLine) -> None:
        if line.says(1) in LOOKS:
            return
        if len(line.words) < 2 or not self._is_forbidden(line, 1):
            self.find(line.number, line.words[0].column, "A script does not use do.", "Take the line out.")

    def look(self, line: ScriptLine) -> None:
        """Showing something harms nothing."""

    def activate(self, line: ScriptLine) -> None:
        if not self.rows:
            self.find(
                line.number,
                line.words[0].column,
                "There is no row to activate.",
                "Enter a row of a table first.",
            )
            return
        self.rows[-1].unfinished = 0

    def exit(self, line: ScriptLine) -> None:
        column = line.words[0].column
        if self.rows:
            self._lost(self.rows.pop(), line.number, column)
        elif self.area:
            self.area = ""
        else:
            self.find(line.number, column, "There is nothing to leave here.", "Take this exit out.")

    def _lost(self, row: _Row, line: int, column: int) -> None:
        if row.unfinished:
            self.find(
                line,
                column,
                f"What line {row.unfinished} sets is lost: the row {row.path} was not activated.",
                "Put activate before this line.",
            )

    def no(self, line: ScriptLine) -> None:
        if not self.area:
            self._outside(line)
            return
        known, words = self._known(line, 1)
        if known is None and len(line.words) == 2 and self.rows:
            self.rows[-1].unfinished = line.number
            self._not_sure(line, 1, "Whether a value can be taken out by no is not confirmed.")
            return
        if known is None:
            self._unknown_table(line, 1)
        elif known.inside:
            self._enter_inner(line, known)
        elif words == len(line.words) - 2:
            self._index(line)
            if line.words[-1].literal is not None and known.name:
                self.find(
                    line.number,
                    line.words[-1].column,
                    "What stands in this place differs from SBC to SBC.",
                    f"Name what is to be removed: {{{{row:{known.word}:NAME}}}}.",
                )
        else:
            self._needs_index(line, known)

    # Of tables and values ----------------------------------------------------------------------------------------

    def _other(self, line: ScriptLine) -> None:
        """A row of a table is entered, or a value is set."""
        if not self.area:
            self._outside(line)
            return
        known, words = self._known(line, 0)
        if known is not None and (words == len(line.words) - 1 or not self.rows):
            self._enter(line, known, words)
        elif self.rows:
            self._set(line)
        else:
            self._unknown_table(line, 0)
            self._index(line)
            self.rows.append(_Row(line.number, line.text.strip(), None))

    def _outside(self, line: ScriptLine) -> None:
        self.find(
            line.number,
            line.words[0].column,
            f"{line.says(0)} stands outside configure voip.",
            "Put configure voip before it.",
        )

    def _known(self, line: ScriptLine, begins: int) -> tuple[Known | None, int]:
        """The table that the words from here on name, and how many words its path has."""
        for length in range(min(len(line.words) - begins, _LONGEST_PATH), 0, -1):
            path = " ".join(line.says(at) for at in range(begins, begins + length))
            if path in BY_PATH:
                return BY_PATH[path], length
        return None, 0

    def _enter(self, line: ScriptLine, known: Known, words: int) -> None:
        if known.area != self.area:
            self.find(
                line.number,
                line.words[0].column,
                f"{known.path} is a table of configure {known.area}.",
                f"Put configure {known.area} before it.",
            )
        if known.inside:
            self._enter_inner(line, known)
        elif self.rows:
            self._unclosed(line.number, line.words[0].column)
            self.rows = []
        if words == len(line.words) - 1:
            self._index(line)
        else:
            self._needs_index(line, known)
        self.rows.append(_Row(line.number, known.path, known))

    def _enter_inner(self, line: ScriptLine, known: Known) -> None:
        """Inner rows of the same table may follow each other only after an exit."""
        while self.rows and self.rows[-1].path != known.inside and len(self.rows) > 1:
            row = self.rows.pop()
            self._lost(row, line.number, line.words[0].column)
            if not row.unfinished:
                self._exit_first(line.number, line.words[0].column, row)
        if not self.rows or self.rows[-1].path != known.inside:
            self.find(
                line.number,
                line.words[0].column,
                f"{known.path} is a table inside {known.inside}.",
                f"Enter a row of {known.inside} first.",
            )
        else:
            self._lost(self.rows[-1], line.number, line.words[0].column)
            self.rows[-1].unfinished = 0

    def _exit_first(self, line: int, column: int, row: _Row) -> None:
        self.find(
            line,
            column,
            f"The row {row.path} of line {row.line} is still open.",
            "Put exit before this line.",
        )

    def _unclosed(self, line: int, column: int) -> None:
        for row in reversed(self.rows):
            if row.unfinished:
                self._lost(row, line, column)
            else:
                self._exit_first(line, column, row)

    def _needs_index(self, line: ScriptLine, known: Known) -> None:
        self.find(
            line.number,
            line.words[0].column,
            f"{known.path} needs the number of one row behind it.",
            f"Write {{{{new:{known.word}}}}} or {{{{row:{known.word}:NAME}}}}."
            if known.name
            else "Write the number.",
        )

    def _index(self, line: ScriptLine) -> None:
        """The last word is the number of a row."""
        word = line.words[-1]
        if word.literal is not None:
            if not (word.literal.isascii() and word.literal.isdecimal()) or len(line.words) < 2:
                self.find(
                    line.number,
                    word.column,
                    "The number of a row belongs here.",
                    "Write it as the last word.",
                )
            return
        if len(word.parts) != 1:
            self.find(
                line.number,
                word.column,
                "The number of a row has something beside its placeholder.",
                "Keep only one.",
            )
        variable = self.known.get(word.places[0].key)
        if word.places[0].kind == "value" and not (
            variable and variable.kind is Kind.NUMBER and variable.required
        ):
            self.find(
                line.number,
                word.places[0].column,
                "This is no number of a row.",
                "Use new:TABLE, row:TABLE:NAME, or a variable that is a number and needed.",
            )

    def _set(self, line: ScriptLine) -> None:
        row, first = self.rows[-1], line.words[0]
        row.unfinished = line.number
        if len(line.words) != 2:
            what = "has no value" if len(line.words) == 1 else "has more than one value"
            self.find(
                line.number,
                first.column,
                f"{line.says(0)} {what}.",
                'Write the name and one value, in "..." where it has blanks.',
            )
        value = line.words[-1]
        if line.says(0) in SECRET_PARAMETERS and not self._is_secret(value):
            self.find(
                line.number,
                value.column,
                "A password stands in the template, where people read it.",
                "Use {{CarrierUserPassword}} or another variable of the type Secret text.",
            )
        if row.known is not None and not self._is_parameter(line.says(0)):
            what = f"{line.says(0)} is not known as a parameter of {row.path}."
            if row.known.complete:
                self.find(line.number, first.column, what, _did_you(line.says(0), row.known.parameters))
            else:
                self._not_sure(line, 0, what)

    def _is_secret(self, word: Word) -> bool:
        return bool(word.places) and all(
            place.key in self.known and self.known[place.key].is_secret for place in word.places
        )

    def _unknown_table(self, line: ScriptLine, begins: int) -> None:
        path = " ".join(line.says(at) for at in range(begins, max(begins + 1, len(line.words) - 1)))
        near = difflib.get_close_matches(path, BY_PATH, n=1, cutoff=CLOSE)
        if near:
            self.find(
                line.number,
                line.words[begins].column,
                f"No table is called {path}.",
                f"Did you mean {near[0]}?",
            )
        else:
            self._not_sure(line, begins, f"The table {path} is not known to the portal.")

    def _not_sure(self, line: ScriptLine, at: int, what: str) -> None:
        remedy = "See in the SBC's manual whether it is right; the SBC refuses the script if it is not."
        self.find(line.number, line.words[at].column, what, remedy, WARNING)

    # Of the whole ------------------------------------------------------------------------------------------------

    def end(self, lines: list[ScriptLine], *, paired: bool) -> None:
        last = len(lines)
        while last > 1 and not lines[last - 1].text.strip():
            last -= 1
        self._unclosed(last, 1)
        if not self.sends:
            self.find(0, 0, "The script does nothing.", "Write the lines that the SBC is to carry out.")
        for name in self.known:
            if name not in self.used:
                self.find(
                    0,
                    0,
                    f"The variable {name} is not used.",
                    f"Use {{{{{name}}}}} in the script, or remove the variable.",
                    WARNING,
                )
        if self.purpose == "onboarding" and not paired:
            self.find(
                0,
                0,
                "There is no clean-up script for it.",
                "Choose one, so that what it makes is taken away in the right order.",
                WARNING,
            )


_COMMANDS: dict[str, Callable[[_Linter, ScriptLine], None]] = {
    "configure": _Linter.configure,
    "do": _Linter.do,
    "no": _Linter.no,
    "activate": _Linter.activate,
    **dict.fromkeys(EXITS, _Linter.exit),
    **dict.fromkeys(LOOKS, _Linter.look),
}


def _did_you(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known) or 'none'}."


def _variable(given: Variable) -> Iterator[tuple[str, str]]:
    """What is wrong with it by itself."""
    name = given.name
    if name in AUTOMATIC:
        yield f"{name} is no variable: each script gets it.", "Remove the variable; keep the placeholder."
    elif not is_name(name):
        yield f"A variable cannot be called {name}.", "Take a name of the list, or CustomVar.Variable1 to 99."
    if name.endswith("Password") and not given.is_secret:
        yield f"{name} is not secret.", "Choose the type Secret text."
    if given.kind is Kind.CHOICE and not given.options:
        yield f"{name} has nothing to choose from.", "Enter its choices."
    if given.low is not None and given.high is not None and given.low > given.high:
        yield f"The lowest number of {name} is above its highest.", "Exchange them."
    for value in (given.default, *given.options):
        try:
            check_value(given, value) if value else None
        except RefusedValueError as error:
            yield (
                f"{name} has a value that it does not take itself: {error.why}.",
                "Change default or choices.",
            )
    if given.is_secret and given.default:
        yield f"{name} is secret and has a default.", "Take the default out."
