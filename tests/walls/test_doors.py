"""What each route wants, written down: a door that was weakened, or lost, is a changed line that somebody must mean.

    .venv/bin/python -m tests.walls.test_doors > tests/walls/doors.txt

The matrix proves that doors do what they say; this list, that they still say it.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_name("doors.txt")


def lines() -> Iterator[str]:
    """`address  methods  kind  ability  fresh`, the methods with the same door together."""
    from tests.walls.routes import routes

    for route in routes():
        by_door: dict[str, list[str]] = {}
        for method, door in route.doors.items():
            wants = f"{door.kind} {door.needs or 'nothing-more'}{' fresh' if door.fresh else ''}"
            by_door.setdefault(wants, []).append(method)
        for wants, methods in by_door.items():
            yield f"/{route.pattern} {','.join(sorted(methods))} {wants}"


def rights() -> Iterator[str]:
    """Who may what, and which of it no role for one customer grants."""
    from tenants.abilities import ABILITIES, PROVIDER_WIDE

    for role, abilities in ABILITIES.items():
        yield f"role {role} may {','.join(sorted(abilities))}"
    yield f"provider-wide {','.join(sorted(PROVIDER_WIDE))}"


def test_a_role_for_one_customer_and_a_token_grant_no_more_than_they_say() -> None:
    from tenants.abilities import ABILITIES, PROVIDER_WIDE, Ability, Role
    from tenants.access import Actor

    own, other = uuid.uuid4(), uuid.uuid4()
    of_one = Actor("person", "1", "Otto", tenant_roles={own: Role.PROVIDER_ADMIN})
    assert of_one.abilities(own) == frozenset(Ability) - PROVIDER_WIDE
    assert not of_one.abilities() | of_one.abilities(other)
    only = frozenset({Ability.VIEW_TENANT, Ability.ROTATE_KEYS})
    narrow = Actor("token", "1", "t", provider_role=Role.OPERATOR, only=only)
    assert narrow.abilities(own) == {Ability.VIEW_TENANT}
    assert Ability.VIEW_QUEUE in ABILITIES[Role.OPERATOR]


def test_every_door_wants_what_is_written_down() -> None:
    written, found = set(LIST.read_text(encoding="utf-8").splitlines()), {*lines(), *rights()}
    told = [f"- {one}" for one in sorted(written - found)] + [f"+ {one}" for one in sorted(found - written)]
    assert not told, "\n".join(
        ["if this is meant: python -m tests.walls.test_doors > tests/walls/doors.txt", *told]
    )


def test_whoever_only_looks_changes_nothing() -> None:
    """Of every route, listed or not: what monitors may is not enough to change anything."""
    from tenants.abilities import ABILITIES, Role
    from tests.walls.routes import routes

    looking = ABILITIES[Role.MONITOR] | ABILITIES[Role.CUSTOMER_MONITOR]
    for route in routes():
        for method in set(route.doors) - {"GET", "HEAD"}:
            door = route.doors[method]
            assert door.needs not in looking or f"/{route.pattern}" in HARMLESS, f"{method} /{route.pattern}"


HARMLESS = {
    "/api/v1/tenants/<uuid:uid>/user-filter/preview": "says whom a filter would take, and keeps nothing",
}
"""Routes that take a POST and change nothing, each with why."""

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    print("\n".join([*rights(), *sorted(lines())]))
