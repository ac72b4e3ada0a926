"""The one family of errors that reach people.

Every error that anybody outside its own function may meet is a `UmpError`. It carries what a person needs
(what happened, what to do, who can), what the runner needs (remedy, scope, when to try again) and what an
operator needs (Microsoft's own codes and ids). The words live in `core.catalogue`; three translators, and no
other code, turn an error into an API answer, a page or a state of a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self, TypedDict, cast

from core.catalogue import CATALOGUE
from core.kinds import NOUNS, WHO_IN_WORDS, ErrorKind, Remedy, Scope, Who
from core.redaction import redact_text

__all__ = [
    "CATALOGUE",
    "WHO_IN_WORDS",
    "Conflict",
    "DeltaExpired",
    "ErrorKind",
    "Forbidden",
    "InvalidInput",
    "LeaseLost",
    "NotFound",
    "OutcomeUnknown",
    "PermissionMissing",
    "Remedy",
    "Rendered",
    "Scope",
    "Throttled",
    "UmpError",
    "Who",
    "WriteRefused",
    "describe",
    "render_markdown",
]

LONGEST_FIELD = 200
LONGEST_DETAIL = 1000


class Rendered(TypedDict):
    """An error as JSON, for a command's row or an API answer."""

    code: str
    status: int
    remedy: str
    who: str
    scope: Scope
    message: str
    advice: str
    detail: dict[str, str]
    retry_after: float | None


class _Fields(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return NOUNS.get(name, "it")


class UmpError(Exception):
    """What went wrong, to which thing, and who can mend it; safe to show as it stands.

    Fields named in the catalogue's sentences are passed as keywords (`app="Acme sync"`). Values are masked,
    shortened and freed of control characters, so a secret that slips in does not come out. `retry_after` is
    in seconds. Raises KeyError for a code that is not in the catalogue.
    """

    claims: str = ""
    """What Microsoft wants of the person's next sign-in (Conditional Access): passed on as it is, and not shown."""
    default_code: ClassVar[str] = "internal"
    _classes: ClassVar[dict[str, type[UmpError]]] = {}

    def __init_subclass__(cls, *, codes: Sequence[str] = (), **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for code in codes:
            UmpError._classes[code] = cls
        if codes:
            cls.default_code = codes[0]

    def __init__(
        self,
        code: str | None = None,
        /,
        *,
        detail: Mapping[str, object] | None = None,
        retry_after: float | None = None,
        **fields: object,
    ) -> None:
        kind = describe(code or self.default_code)
        words = _Fields({name: _clean(value, LONGEST_FIELD) for name, value in fields.items() if value})
        self.code = kind.code
        self.status = kind.status
        self.remedy = kind.remedy
        self.who = kind.who
        self.scope: Scope = kind.scope
        self.message = kind.message.format_map(words)
        self.advice = kind.advice.format_map(words)
        self.fields: dict[str, str] = dict(words)
        self.detail = _clean_detail(detail or {})
        self.retry_after = retry_after
        super().__init__(self.message)

    @classmethod
    def of(
        cls,
        code: str,
        /,
        *,
        detail: Mapping[str, object] | None = None,
        retry_after: float | None = None,
        **fields: object,
    ) -> UmpError:
        """The error of this code, as the subclass that code branches on."""
        made = UmpError._classes.get(code, UmpError)
        return made(code, detail=detail, retry_after=retry_after, **fields)

    @classmethod
    def from_dict(cls, stored: Mapping[str, object]) -> UmpError:
        """The error that `to_dict` wrote down, with the words it had then.

        An unknown code (written by another version) becomes `internal` but keeps its stored words.
        """
        code = str(stored.get("code", ""))
        error = UmpError.of(code if code in CATALOGUE else "internal")
        error.message = str(stored.get("message", error.message))
        error.advice = str(stored.get("advice", error.advice))
        detail = stored.get("detail")
        error.detail = _clean_detail(detail) if isinstance(detail, Mapping) else {}
        wait = stored.get("retry_after")
        error.retry_after = float(wait) if isinstance(wait, (int, float)) else None
        error.args = (error.message,)
        return error

    def to_dict(self) -> Rendered:
        """Everything but the traceback, ready for JSON."""
        return Rendered(
            code=self.code,
            status=self.status,
            remedy=self.remedy.value,
            who=self.who.value,
            scope=self.scope,
            message=self.message,
            advice=self.advice,
            detail=dict(self.detail),
            retry_after=self.retry_after,
        )

    @property
    def only_stopped(self) -> bool:
        """Nothing is known to be wrong: this run ends, the work goes on in another, and nobody need hear of it."""
        return self.code in {"interrupted", "lease_lost"}

    def with_detail(self, **more: object) -> Self:
        """The same error, knowing more for the operator; what it knew already stays."""
        self.detail = {**_clean_detail(more), **self.detail}
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (UmpError.from_dict, (cast("Mapping[str, object]", self.to_dict()),))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.code}: {self.message}>"


class InvalidInput(
    UmpError,
    codes=("invalid_input", "secret_is_guid", "malformed_request", "licence_customers_used", "licence_users_short"),
):  # fmt: skip
    """A value that a person or a machine gave cannot be used; `field` says which (empty: the whole)."""

    @property
    def field(self) -> str:
        return self.fields.get("field", "")


class NotFound(UmpError, codes=("not_found", "remote_not_found", "user_deleted", "gone", "tenant_shredded")):
    """The thing is not here, or not at Microsoft, or may not be seen."""


class Forbidden(UmpError, codes=("not_allowed", "address_not_allowed", "second_factor_required")):
    """The caller is known and may not."""


class Conflict(
    UmpError,
    codes=("conflict", "already_exists", "illegal_move", "conflict_version", "remote_conflict",
           "remote_changed", "remote_locked", "idempotency_mismatch", "idempotency_in_progress",
           "invitation_open"),
):  # fmt: skip
    """The wish does not fit the state of the thing."""


class Throttled(UmpError, codes=("throttled", "rate_limited", "token_loop", "device_too_fast")):
    """Too fast; `retry_after` says how long to wait, None where nobody said."""


class PermissionMissing(UmpError, codes=("permission_missing",)):
    """The app may not do this in the customer's tenant."""


class DeltaExpired(UmpError, codes=("delta_expired",)):
    """The delta link is of no use any more: read everything once (facts/microsoft.md 5.3)."""


class WriteRefused(UmpError, codes=("dry_run_write_refused",)):
    """A read-only client was asked to write; nothing left the process."""


class OutcomeUnknown(UmpError, codes=("outcome_unknown",)):
    """A write may or may not have arrived: read back before writing again."""


class LeaseLost(UmpError, codes=("lease_lost",)):
    """Somebody else holds the command now: leave without writing anything."""


def describe(code: str) -> ErrorKind:
    """The catalogue's row of this code. Raises KeyError when there is none."""
    return CATALOGUE[code]


def _clean(value: object, longest: int) -> str:
    text = redact_text(str(value)).replace("\n", " ").replace("\t", " ").strip()
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _clean_detail(detail: Mapping[str, object]) -> dict[str, str]:
    return {str(k): _clean(v, LONGEST_DETAIL) for k, v in detail.items() if v is not None and v != ""}


def render_markdown(seen_as: Mapping[str, Sequence[str]] | None = None) -> str:
    """The catalogue as a page of documentation; `seen_as` lists Microsoft's own codes behind each of ours."""
    return "\n".join([_INTRODUCTION, *_sections(seen_as or {})]) + "\n"


_INTRODUCTION = """# Errors

Every error that the portal shows, stores or answers has one of these codes. The page is generated
(`python -m m365.errors > docs/errors.md`), and a test keeps it true.

*Goes away* says what helps: **later** = the portal tries again by itself, **after a fix** = somebody must act
first, **never** = repeating the same thing will not help. *Reaches* says how far it goes: the whole
**connection** of one customer, only the **target** at hand, the **service** for everybody, or **none** but
the caller.
"""


def _sections(seen_as: Mapping[str, Sequence[str]]) -> Iterator[str]:
    section = ""
    for kind in CATALOGUE.values():
        if kind.section != section:
            section = kind.section
            yield f"## {section}\n"
        yield from _entry(kind, seen_as.get(kind.code, ()))


def _entry(kind: ErrorKind, seen: Sequence[str]) -> Iterator[str]:
    words = {name: f"*{noun}*" for name, noun in NOUNS.items()}
    goes_away = kind.remedy.value.replace("_fix", " a fix")
    yield f"### `{kind.code}`\n"
    yield f"{kind.message.format_map(words)}\n"
    yield f"{kind.advice.format_map(words)}\n"
    yield (
        f"- HTTP {kind.status} · goes away: {goes_away} · reaches: {kind.scope} · "
        f"can mend it: {WHO_IN_WORDS[kind.who]}"
    )
    if seen:
        yield f"- at Microsoft: {', '.join(seen)}"
    yield ""
