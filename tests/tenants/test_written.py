"""A query whose SQL is kept gives what it would give, in every scope, and is refused where that cannot be."""

import datetime as dt

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from tenants import scope, written
from tenants.models import Membership, Tenant
from tenants.scope import NoScope
from tenants.written import Written
from tests.cast import Cast

pytestmark = pytest.mark.django_db


def test_its_text_is_written_once_and_asked_with_other_values(cast: Cast) -> None:
    made: list[object] = []
    named = Written(lambda ids: made.append(ids) or Tenant.objects.filter(id__in=ids).order_by("name"))
    both = [cast.contoso, cast.fabrikam]
    with scope.every("a test"):
        assert named.rows([cast.contoso.id, cast.fabrikam.id]) == both
        with CaptureQueriesContext(connection) as seen:
            assert named.rows([cast.fabrikam.id, cast.contoso.id]) == both
        assert named.rows([cast.fabrikam.id]) == [cast.fabrikam]
        assert named.rows([]) == []
    assert len(made) == 3, "two lengths, and nothing at all"
    assert len(seen) == 1


def test_it_stays_in_the_scope_it_is_asked_in(cast: Cast) -> None:
    one = Written(lambda tenant_id: Tenant.objects.filter(id=tenant_id))
    with scope.every("a test"):
        assert one.rows(cast.contoso.id) == [cast.contoso]
    for own, other in ((cast.contoso, cast.fabrikam), (cast.fabrikam, cast.contoso)):
        with scope.one(own.id), CaptureQueriesContext(connection) as seen:
            assert one.rows(own.id) == [own]
            assert one.rows(other.id) == []
        assert str(own.id) in seen.captured_queries[-1]["sql"], "the second wall, and not the third alone"
    with scope.some([cast.contoso.id, cast.fabrikam.id]):
        assert one.rows(cast.fabrikam.id) == [cast.fabrikam]
    with pytest.raises(NoScope):
        one.rows(cast.contoso.id)


def test_a_part_of_a_text_is_a_value(cast: Cast) -> None:
    """Which means itself, whatever it looks like to PostgreSQL."""
    named = Written(lambda words: Tenant.objects.filter(*(Q(name__icontains=word) for word in words)))
    with scope.every("a test"):
        Tenant.objects.filter(id=cast.fabrikam.id).update(name="100%_\\fabrikam")
        asked = (["ONTOSO"], ["%"], ["_"], ["\\f"], ["100%", "fab"], ["contoso", "%"], ["f%a"])
        found = [[one.id for one in named.rows(words)] for words in asked]
    own, other = [cast.contoso.id], [cast.fabrikam.id]
    assert found == [own, other, other, other, other, [], []]


def test_times_and_how_many_are_values(cast: Cast) -> None:
    made: list[object] = []
    later = Written(
        lambda at, most: made.append(at) or Tenant.objects.filter(created_at__gt=at).order_by("name")[:most]
    )
    begun = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    with scope.every("a test"):
        assert later.rows(begun, 1) == [cast.contoso]
        assert later.rows(begun, 2) == [cast.contoso, cast.fabrikam]
        assert later.rows(dt.datetime(2900, 1, 1, tzinfo=dt.UTC), 2) == []
    assert len(made) == 1


def test_what_people_ask_for_once_is_not_kept_for_ever(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "MOST_TEXTS", 2)
    named = Written(lambda words: Tenant.objects.filter(*(Q(name__icontains=word) for word in words)))
    with scope.every("a test"):
        for number in range(1, 6):
            assert named.rows(["n"] * number) == [cast.contoso]
            assert len(named._texts) <= 2


def test_what_is_not_told_by_its_values_is_refused(cast: Cast) -> None:
    late = Written(lambda: Tenant.objects.filter(created_at__lt=dt.datetime.now(dt.UTC)))
    changed = Written(lambda word: Tenant.objects.filter(name__istartswith=word))
    unused = Written(lambda user_id: Membership.objects.all())
    with scope.every("a test"):
        for asked, values in ((late, []), (changed, ["x"]), (unused, [cast.pia.id])):
            with pytest.raises(ValueError, match="more than its values"):
                asked.rows(*values)
