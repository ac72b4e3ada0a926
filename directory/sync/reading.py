"""From what Microsoft sent to lines for COPY: every value checked, cleaned and of known length.

A line is one row in PostgreSQL's COPY text format, with NULL_MARK for NULL. A list shows every property that
was asked for, so an absent one is empty. A delta shows "at least" what changed, one object may come in
several pieces, and an absent property means "as it was" (facts/microsoft.md 5.3).
"""

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from core.errors import UmpError
from directory.models import LONGEST, LONGEST_SEARCH
from m365.replies import moment as utc

NULL_MARK: Final = "\x01"
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
HOST = "Microsoft Graph"
LONGEST_TYPE = 40

Object = Mapping[str, Any]
Row = list[str]


@dataclasses.dataclass(frozen=True)
class Field:
    """One column: from which property, by which reader, and what it holds when nothing was ever said."""

    column: str
    name: str
    read: Callable[[str, Any], str]
    empty: str = ""
    longest: int = LONGEST


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the mirror, its key, and how its rows are read. `search_from` are columns to find it by."""

    name: str
    fields: tuple[Field, ...]
    search_from: tuple[str, ...]
    select: str
    """$select of the list; the delta of groups adds the members."""

    @property
    def columns(self) -> tuple[str, ...]:
        return ("object_id", *(field.column for field in self.fields), "search")


def text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise unreadable(f"{name} is not a text")
    return value


def flag(name: str, value: Any) -> str:
    if value is None or value is False:
        return "f"
    if value is not True:
        raise unreadable(f"{name} is neither true nor false")
    return "t"


def flag_unless_false(name: str, value: Any) -> str:
    return "t" if value is None else flag(name, value)


def moment(name: str, value: Any) -> str:
    if value is None:
        return NULL_MARK
    try:
        return utc(value)
    except (TypeError, ValueError):
        raise unreadable(f"{name} is not a time") from None


def joined(name: str, value: Any) -> str:
    return _joined(name, value, ", ")


def words(name: str, value: Any) -> str:
    return _joined(name, value, " ")


def _joined(name: str, value: Any, between: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise unreadable(f"{name} is not a list of texts")
    return between.join(value)


def licences(name: str, value: Any) -> str:
    """The SKU ids as an array; in order, since Microsoft's own order means nothing."""
    if not value:
        return "{}"
    try:
        ids = sorted({guid(one["skuId"]) for one in value})
    except (TypeError, KeyError):
        raise unreadable(f"{name} is not a list of licences") from None
    return f"{{{','.join(ids)}}}"


def guid(value: Any) -> str:
    """Raises UmpError (bad_reply)."""
    if not isinstance(value, str) or not GUID.fullmatch(value):
        raise unreadable("an object in it has no proper id")
    return value.lower()


def unreadable(why: str) -> UmpError:
    return UmpError.of("bad_reply", host=HOST, why=why)


USERS = Table(
    "directory_user",
    (
        Field("user_principal_name", "userPrincipalName", text),
        Field("display_name", "displayName", text),
        Field("given_name", "givenName", text),
        Field("surname", "surname", text),
        Field("mail", "mail", text),
        Field("department", "department", text),
        Field("job_title", "jobTitle", text),
        Field("company_name", "companyName", text),
        Field("office_location", "officeLocation", text),
        Field("city", "city", text),
        Field("country", "country", text),
        Field("usage_location", "usageLocation", text),
        Field("business_phones", "businessPhones", joined),
        Field("mobile_phone", "mobilePhone", text),
        Field("sku_ids", "assignedLicenses", licences, "{}"),
        Field("account_enabled", "accountEnabled", flag_unless_false, "t"),
        Field("user_type", "userType", text, longest=20),
        Field("on_premises", "onPremisesSyncEnabled", flag, "f"),
        Field("created_at", "createdDateTime", moment, NULL_MARK),
    ),
    search_from=("display_name", "user_principal_name", "mail"),
    select=(
        "id,userPrincipalName,displayName,givenName,surname,mail,department,jobTitle,companyName,officeLocation,"
        "city,country,usageLocation,businessPhones,mobilePhone,assignedLicenses,accountEnabled,userType,"
        "onPremisesSyncEnabled,createdDateTime"
    ),
)
GROUPS = Table(
    "directory_group",
    (
        Field("display_name", "displayName", text),
        Field("description", "description", text, longest=2000),
        Field("mail", "mail", text),
        Field("mail_enabled", "mailEnabled", flag, "f"),
        Field("security_enabled", "securityEnabled", flag, "f"),
        Field("group_types", "groupTypes", words, longest=200),
        Field("membership_rule", "membershipRule", text, longest=4000),
        Field("visibility", "visibility", text, longest=40),
        Field("on_premises", "onPremisesSyncEnabled", flag, "f"),
        Field("created_at", "createdDateTime", moment, NULL_MARK),
    ),
    search_from=("display_name", "mail"),
    select=(
        "id,displayName,description,mail,mailEnabled,securityEnabled,groupTypes,membershipRule,visibility,"
        "onPremisesSyncEnabled,createdDateTime"
    ),
)


def fold(value: str) -> str:
    """Without capitals and accents, so that "emile" finds "Émile"."""
    if value.isascii():
        return value.lower()
    decomposed = unicodedata.normalize("NFKD", value.casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


def listed(table: Table, objects: Iterable[Object]) -> dict[str, Row]:
    """Rows by id of a page of a list; an object that comes twice counts once, as it came last."""
    fields = [(field.name, field.read, field.read is text) for field in table.fields]
    rows = {}
    for one in objects:
        get = one.get
        # Most values are texts for `text`, which would return them as they are.
        rows[guid(get("id"))] = [
            value if type(value := get(name)) is str and plain else read(name, value)
            for name, read, plain in fields
        ]
    return rows


@dataclasses.dataclass
class Changes:
    """A page of a delta: what is left of each object after all its pieces, and what is gone."""

    changed: dict[str, Object] = dataclasses.field(default_factory=dict)
    removed: dict[str, str] = dataclasses.field(default_factory=dict)
    """Id -> reason: "changed" can be restored for 30 days, "deleted" is gone for good."""
    members: dict[tuple[str, str], str | None] = dataclasses.field(default_factory=dict)
    """(group, member) -> the member's type, or None when it left."""


def changes(objects: Iterable[Object]) -> Changes:
    """What a page of a delta says, the later piece of an object winning over the earlier."""
    found = Changes()
    for one in objects:
        object_id = guid(one.get("id"))
        gone = one.get("@removed")
        if gone is not None:
            found.removed[object_id] = str(gone.get("reason", "")) if isinstance(gone, dict) else ""
            found.changed.pop(object_id, None)
            continue
        found.removed.pop(object_id, None)
        found.changed[object_id] = {**found.changed.get(object_id, {}), **one}
        _note_members(found, object_id, one.get("members@delta") or ())
    for group, member in [key for key in found.members if key[0] in found.removed]:
        del found.members[group, member]
    return found


def _note_members(found: Changes, group_id: str, members: Any) -> None:
    if not isinstance(members, list | tuple):
        raise unreadable("the members of a group are not a list")
    for member in members:
        if not isinstance(member, dict):
            raise unreadable("a member of a group is not an object")
        key = (group_id, guid(member.get("id")))
        found.members[key] = None if "@removed" in member else member_type(member)


def member_type(member: Object) -> str:
    """The last word of a type such as `#microsoft.graph.user`; empty when Microsoft does not say."""
    kind = member.get("@odata.type")
    return _last_word(kind) if isinstance(kind, str) else ""


@functools.lru_cache(maxsize=64)
def _last_word(kind: str) -> str:
    """Kept, because a quarter of a million members are of five types."""
    word = kind.rpartition(".")[2]
    return word if word.isalnum() and word.isascii() and len(word) <= LONGEST_TYPE else ""


def completed(
    table: Table, objects: Mapping[str, Object], known: Mapping[str, Sequence[str]]
) -> dict[str, Row]:
    """Rows of a delta's objects; what they do not mention stays as it was, or is empty for a new one."""
    fields = table.fields
    nothing = [field.empty for field in fields]
    rows = {}
    for object_id, one in objects.items():
        before = known.get(object_id, nothing)
        rows[object_id] = [
            field.read(field.name, one[field.name]) if field.name in one else before[place]
            for place, field in enumerate(fields)
        ]
    return rows


def lines(table: Table, rows: Mapping[str, Row]) -> bytes:
    """The rows as text for COPY in UTF-8, with the folded text to search by as the last column."""
    places = [[field.column for field in table.fields].index(column) for column in table.search_from]
    expected = len(table.fields) + 1
    out = []
    for object_id, row in rows.items():
        said = dict.fromkeys(row[place] for place in places if row[place])
        search = fold(" ".join(said))[:LONGEST_SEARCH].strip()
        line = "\t".join((object_id, *row, search))
        if len(line) > LONGEST or line.count("\t") != expected or not _plain(line):
            line = _escaped(table, object_id, row, search)
        out.append(line)
    out.append("")
    return "\n".join(out).encode()


def each_once(content: bytes, column: int = 0) -> bytes:
    """Lines of which several may have the same id in that column: the last one of each stays."""
    found = {line.split(b"\t", column + 1)[column]: line for line in content.split(b"\n") if line}
    return b"\n".join((*found.values(), b""))


def _plain(line: str) -> bool:
    """True when no sign in it means something to COPY."""
    return not ("\\" in line or "\n" in line or "\r" in line or "\0" in line or NULL_MARK in line)


def _escaped(table: Table, object_id: str, row: Row, search: str) -> str:
    """The slow way, for the one row in thousands with an odd sign or a very long text in it."""
    cut = [
        value if value == field.empty else _cut(value, field.longest)
        for field, value in zip(table.fields, row, strict=True)
    ]
    return "\t".join(_escape(value) for value in (object_id, *cut, _cut(search, LONGEST_SEARCH)))


def _cut(value: str, longest: int) -> str:
    """Longer than Microsoft's own limits: kept as far as there is room, since one odd text must not stop all."""
    value = value.replace("\0", "").replace(NULL_MARK, "")
    return value if len(value) <= longest else value[: longest - 1] + "…"


def _escape(value: str) -> str:
    for sign, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "")):
        value = value.replace(sign, escaped)
    return value


def member_lines(members: Iterable[tuple[str, str, str]]) -> bytes:
    """(group, member, type) as text for COPY; ids and types hold no sign that needs escaping."""
    return "".join(f"{group}\t{member}\t{kind}\n" for group, member, kind in members).encode("ascii")
