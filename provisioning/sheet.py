"""Changes of users as a file: one line a user, one column a thing (issue 6).

An empty cell leaves a thing as it is, "-" takes it away. A line counts as a whole: one wrong cell leaves it out, as
half of what somebody needs may be worse than nothing. What is exported can be read again, and asks for nothing.
"""

import dataclasses
import re
import uuid
from collections.abc import Iterator, Sequence

from core.errors import InvalidInput, UmpError
from directory.browse import as_uuid
from directory.models import DirectoryGroup, DirectoryUser, GroupMember
from provisioning import judging, leading, selectors, services
from provisioning.aspects import COLUMNS, EDITABLE, TITLES, Thing, Value, aspect_of, policy_title
from provisioning.editing import VOICE
from provisioning.judging import Verdict, Wish
from provisioning.models import Source
from provisioning.people import groups_named, users_named
from telephony.models import NumberKind, PhoneNumber, TeamsPolicy
from tenants.access import Actor
from tenants.models import Tenant
from tenants.sheets import bad, lines_of, plain

USER, NUMBER, KIND, LOCATION, SITE = "User", "Number", "Number type", "Location", "SBC site"
JOIN, LEAVE = "Join", "Leave"
CLEAR = "-"
TOLD = ("Line", "Outcome", "Column", "Problem", "What to do")
"""Columns of a result; a file that has them is read without them."""
LONGEST_CELL = 4_000
MOST_GROUPS = 100
"""In one cell."""
MOST_ROUNDS = 10
_TYPE = re.compile(r"[A-Z][A-Za-z0-9]{2,80}", re.ASCII)


# --- Columns --------------------------------------------------------------------------------------------------
def kinds_of(tenant: Tenant) -> list[str]:
    """The types of policies that have a column in this customer's files."""
    held = TeamsPolicy.objects.filter(tenant=tenant).order_by().values_list("kind", flat=True).distinct()
    return [*VOICE, *sorted(set(held) - set(VOICE))]


def head_of(kinds: Sequence[str], *, led: bool) -> list[str]:
    """The first line of a template or an export. `led`: the customer has sites that numbers can be led to."""
    first = [USER, NUMBER, KIND, LOCATION, *([SITE] if led else [])]
    titles = [TITLES[name] for name in EDITABLE]
    return [*first, *(policy_title(kind) for kind in kinds), *titles, JOIN, LEAVE]


def _columns(cells: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """What each column is about: one of the fixed words, an aspect, or nothing. Raises InvalidInput (file)."""
    known = {_bare(title): title for title in (USER, NUMBER, KIND, LOCATION, SITE, JOIN, LEAVE)}
    known |= dict.fromkeys(map(_bare, TOLD), "")
    known |= {_bare(word): f"user:{name}" for name in EDITABLE for word in (name, TITLES[name])}
    known |= {_bare(word): f"policy:{kind}" for kind in kinds for word in (kind, policy_title(kind))}
    named = [plain(cell) for cell in cells]
    for name in named:
        if name.endswith("Policy") and _TYPE.fullmatch(name):
            known.setdefault(_bare(name), f"policy:{name}")
    odd = [name for name in named if name and _bare(name) not in known]
    if odd:
        raise bad(f"its first line has columns that mean nothing here: {', '.join(odd[:10])[:300]}")
    found = [known[_bare(name)] if name else "" for name in named]
    if USER not in found:
        raise bad("its first line has no column User, with user principal names or object ids")
    twice = next((each for each in found if each and found.count(each) > 1), "")
    if twice:
        raise bad(f"its first line has the column {title_of(twice)} twice")
    return found


def _bare(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


def title_of(column: str) -> str:
    """How a column is called in the head."""
    family, _, key = column.partition(":")
    return policy_title(key) if family == "policy" else TITLES[key] if family == "user" else column


# --- In -------------------------------------------------------------------------------------------------------
@dataclasses.dataclass
class Row:
    """A line of a file: what its cells said, what it asks for, and what stands against it."""

    line: int
    cells: dict[str, str]
    wishes: list[tuple[str, Wish]] = dataclasses.field(default_factory=list)
    """With the column that each comes from."""
    trouble: list[tuple[str, UmpError]] = dataclasses.field(default_factory=list)
    hints: list[str] = dataclasses.field(default_factory=list)
    asks: list[Wish] = dataclasses.field(default_factory=list)
    """Of its wishes, those that are not so already: what merely says how things are takes no waiting change back."""

    @property
    def user(self) -> str:
        return self.cells.get(USER, "")

    @property
    def outcome(self) -> str:
        return "Left out" if self.trouble else "To be changed" if self.asks else "As it is already"


@dataclasses.dataclass
class Sheet:
    """A file that was read and judged. `columns` are titles, in the file's order."""

    columns: list[str]
    rows: list[Row]

    @property
    def good(self) -> list[Row]:
        return [row for row in self.rows if row.asks and not row.trouble]

    @property
    def wrong(self) -> list[Row]:
        return [row for row in self.rows if row.trouble]

    @property
    def same(self) -> int:
        return sum(1 for row in self.rows if not row.asks and not row.trouble)

    @property
    def changes(self) -> int:
        return len(self.wishes())

    def wishes(self) -> list[Wish]:
        """What the right lines ask for."""
        return [wish for row in self.good for wish in row.asks]


def read(tenant: Tenant, text: str, *, by: Actor) -> Sheet:
    """The file, each line with what stands against it for who sends it; in the customer's scope, nothing is kept.

    Raises InvalidInput: `file` for what is no such table, `changes` for more wishes than fit into one act.
    """
    lines = lines_of(text)
    columns = _columns(next(lines)[1], kinds_of(tenant))
    rows = [_row(columns, line, cells) for line, cells in lines]
    sheet = Sheet([title_of(column) for column in columns if column], rows)
    _understand(tenant, sheet)
    _judge(tenant, sheet, by)
    return sheet


def _row(columns: Sequence[str], line: int, cells: Sequence[str]) -> Row:
    row = Row(line, {column: plain(cell) for column, cell in zip(columns, cells, strict=False) if column})
    if any(cell.strip() for cell in cells[len(columns) :]):
        why = f"it has {len(cells)} values, and the first line {len(columns)}; put a value with a comma in quotes"
        row.trouble.append(("", bad(why)))
    for column, cell in row.cells.items():
        if len(cell) > LONGEST_CELL:
            row.cells[column] = ""
            row.trouble.append((title_of(column), bad(f"it is longer than {LONGEST_CELL:,} characters")))
    return row


def _understand(tenant: Tenant, sheet: Sheet) -> None:
    """The wishes of each line; names are looked up for all lines together."""
    users = users_named(tenant, {row.user for row in sheet.rows if row.user})
    wanted = {
        name for row in sheet.rows for side in (JOIN, LEAVE) for name in _names(row.cells.get(side, ""))
    }
    groups = groups_named(tenant, wanted)
    rules = _Rules(tenant, sheet.rows, users)
    for row in sheet.rows:
        subject = users.get(row.user)
        if subject is None:
            row.trouble.append((USER, UmpError.of("user_not_in_copy", thing=row.user or "without a name")))
            continue
        row.wishes += _number(row, subject)
        row.wishes += rules.of(row, subject)
        row.wishes += _things(row, subject)
        row.wishes += _memberships(row, subject, groups)


def _names(cell: str) -> list[str]:
    return list(dict.fromkeys(name for part in cell.split(";") if (name := part.strip()) and name != CLEAR))


def _wish(row: Row, subject: uuid.UUID, aspect: str, wanted: Value) -> Wish:
    return Wish(Thing(subject, aspect), wanted, label=row.user, line=row.line)


def _number(row: Row, subject: uuid.UUID) -> Iterator[tuple[str, Wish]]:
    number, kind, location = (row.cells.get(column, "") for column in (NUMBER, KIND, LOCATION))
    if number == CLEAR:
        yield NUMBER, _wish(row, subject, "number", None)
        return
    if not number:
        if kind or location:
            row.trouble.append((NUMBER, bad("a type or a location needs a number beside it")))
        return
    named = {_bare(word): one.value for one in NumberKind for word in (one.value, one.label)}
    given = {"number": number}
    if kind:
        known = named.get(_bare(kind))
        if known is None:
            row.trouble.append(
                (KIND, bad(f"it is none of {', '.join(str(one.label) for one in NumberKind)}"))
            )
            return
        given["kind"] = known
    if location:
        if as_uuid(location) is None:
            row.trouble.append((LOCATION, bad("an emergency location is named by its id at Microsoft")))
            return
        given["location"] = location
    yield NUMBER, _wish(row, subject, "number", given)


class _Rules:
    """The column SBC site: which site a number is led to. What is looked up is looked up for all lines together."""

    def __init__(self, tenant: Tenant, rows: Sequence[Row], users: dict[str, uuid.UUID]) -> None:
        ids = [users[row.user] for row in rows if row.cells.get(SITE) and row.user in users]
        self.sites = {_bare(site.name): site for site in leading.sites_of(tenant)} if ids else {}
        self.numbers = selectors.numbers_wanted(tenant, ids) if ids else {}
        self.now = leading.led(tenant, set(self.numbers.values()))

    def of(self, row: Row, subject: uuid.UUID) -> Iterator[tuple[str, Wish]]:
        """A site's name leads the line's number to it, or the one that the user has; "-" is about the latter."""
        cell, held = row.cells.get(SITE, ""), self.numbers.get(subject, "")
        if cell == CLEAR:
            asked = leading.unled(subject, held, self.now[held], label=row.user) if held else ()
        elif cell:
            asked = self._to(row, subject, cell, held)
        else:
            return
        for wish in asked:
            yield SITE, dataclasses.replace(wish, line=row.line)

    def _to(self, row: Row, subject: uuid.UUID, cell: str, held: str) -> Sequence[Wish]:
        site, given = self.sites.get(_bare(cell)), row.cells.get(NUMBER) or held
        if site is None:
            known = ", ".join(each.name for each in self.sites.values()) or "none"
            row.trouble.append((SITE, bad(f"the customer has no such site on an SBC; it has: {known[:300]}")))
            return ()
        if given in {CLEAR, ""}:
            row.trouble.append((SITE, bad("the user has no number that could be led to a site")))
            return ()
        try:
            number = aspect_of("number").clean(Thing(subject, "number"), given)["number"]
        except InvalidInput:
            return ()  # it is told beside the number
        return [leading.wish(subject, site, number, label=row.user)]


def _things(row: Row, subject: uuid.UUID) -> Iterator[tuple[str, Wish]]:
    """Policies and attributes."""
    for column, cell in row.cells.items():
        if cell and ":" in column:
            policy = column.startswith("policy:")
            wanted = None if cell == CLEAR else {"name": cell} if policy else cell
            yield title_of(column), _wish(row, subject, column, wanted)


def _memberships(row: Row, subject: uuid.UUID, groups: dict[str, list[str]]) -> Iterator[tuple[str, Wish]]:
    for column, wanted in ((JOIN, True), (LEAVE, None)):
        names = _names(row.cells.get(column, ""))
        if len(names) > MOST_GROUPS:
            row.trouble.append((column, bad(f"it names more than {MOST_GROUPS} groups")))
            continue
        for name in names:
            found = groups.get(name, [])
            if not found:
                row.trouble.append((column, UmpError.of("group_not_in_copy", thing=name)))
            elif len(found) > 1:
                why = f"{len(found)} groups are called {name}; write the object id of the one you mean"
                row.trouble.append((column, bad(why)))
            else:
                yield column, _wish(row, subject, f"member:{found[0]}", wanted)


def _judge(tenant: Tenant, sheet: Sheet, by: Actor) -> None:
    """First all, so that everything is told at once; then without the wrong lines, until no further one is wrong.

    A number that a wrong line would have freed is not free.
    """
    rows = sheet.rows
    for _ in range(MOST_ROUNDS):
        sources = [(row, column) for row in rows for column, _ in row.wishes]
        wishes = [wish for row in rows for _, wish in row.wishes]
        verdicts = services.preview(tenant, wishes, by=by).verdicts
        for row in rows:
            row.asks, row.hints = [], []
        for (row, column), verdict in zip(sources, verdicts, strict=True):
            _take(row, column, verdict)
        right = [row for row in rows if not row.trouble]
        if len(right) == len(rows):
            return
        rows = right


def _take(row: Row, column: str, verdict: Verdict) -> None:
    if verdict.problem is not None:
        row.trouble.append((column, verdict.problem))
    elif verdict.counts:
        row.asks.append(verdict.wish)
        row.hints += [verdict.hint] if verdict.hint else []


def ask(actor: Actor, tenant: Tenant, sheet: Sheet, *, title: str) -> services.Asked:
    """Ask for what the right lines say; what was taken meanwhile is among what it refuses."""
    return services.ask(actor, tenant, sheet.wishes(), source=Source.CSV, title=title)


def explained(error: UmpError) -> tuple[str, str]:
    """(what is wrong, what to do)."""
    if error.code != "invalid_input":
        return error.message, error.advice
    why = error.fields.get("why", error.message)
    return f"{why[:1].upper()}{why[1:]}.", "Write it as the template does, and send the line again."


# --- Out ------------------------------------------------------------------------------------------------------
def result_head(sheet: Sheet) -> list[str]:
    return [*sheet.columns, *TOLD]


def result(sheet: Sheet, *, wrong_only: bool) -> Iterator[list[Sequence[object]]]:
    """The lines of a file with what becomes of each; the wrong ones can be mended and sent again."""
    for row in sheet.wrong if wrong_only else sheet.rows:
        said = [(column, *explained(error)) for column, error in row.trouble] or [
            ("", "; ".join(row.hints), "")
        ]
        told = ["; ".join(dict.fromkeys(each[at] for each in said if each[at])) for at in range(3)]
        yield [
            [*row.cells.values(), *[""] * (len(sheet.columns) - len(row.cells)), row.line, row.outcome, *told]
        ]


def present(
    tenant: Tenant, batch: Sequence[DirectoryUser], kinds: Sequence[str], *, led: bool
) -> list[list[str]]:
    """What the copy says of these users, in the form that is read; as many queries for one as for a thousand."""
    ids = [user.object_id for user in batch]
    things = [
        Thing(each, aspect) for each in ids for aspect in ("number", *(f"policy:{kind}" for kind in kinds))
    ]
    held = judging.current(things, tenant)
    rows = PhoneNumber.objects.filter(tenant=tenant, target_id__in=ids).values_list("number", "location_id")
    places = dict(rows)
    rules = leading.led(tenant, places) if led else None
    groups = _groups_of(tenant, ids)
    return [_line(user, held, places, rules, groups.get(user.object_id, []), kinds) for user in batch]


def _line(
    user: DirectoryUser,
    held: dict[Thing, Value],
    places: dict[str, str],
    rules: dict[str, leading.Led] | None,
    groups: list[str],
    kinds: Sequence[str],
) -> list[str]:
    number = held.get(Thing(user.object_id, "number"))
    first = ["", "", ""]
    if number:
        first = [number["number"], str(NumberKind(number["kind"]).label), places.get(number["number"], "")]
    if rules is not None:
        site = rules.get(number["number"], leading.NOWHERE).site if number else None
        first.append(site.name if site else "")
    policies = [held.get(Thing(user.object_id, f"policy:{kind}")) for kind in kinds]
    names = [policy["name"] if policy else "" for policy in policies]
    attributes = [str(getattr(user, COLUMNS[name]) or "") for name in EDITABLE]
    return [
        user.user_principal_name or str(user.object_id),
        *first,
        *names,
        *attributes,
        "; ".join(groups),
        "",
    ]


def _groups_of(tenant: Tenant, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
    """The groups of each user that can be joined by hand, by name; by object id where the name would not do."""
    pairs = GroupMember.objects.filter(tenant=tenant, member_id__in=ids).values_list("member_id", "group_id")
    listed = sorted(pairs)
    rows = DirectoryGroup.objects.filter(tenant=tenant, object_id__in={group for _, group in listed})
    known = {row.object_id: row for row in rows}
    names = groups_named(tenant, {row.display_name for row in rows})
    found: dict[uuid.UUID, list[str]] = {}
    for member, group in listed:
        row = known.get(group)
        if row is not None and not row.dynamic and not row.on_premises:
            alone = len(names.get(row.display_name, [])) == 1 and ";" not in row.display_name
            usable = alone and plain(row.display_name) == row.display_name != CLEAR
            found.setdefault(member, []).append(row.display_name if usable else str(group))
    return {member: sorted(names) for member, names in found.items()}
