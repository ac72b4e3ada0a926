"""The second wall: no scope, no query; and the third: what PostgreSQL shows when the second is down."""

import contextlib
import uuid
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.db.models import Count

from audit.models import Entry
from tenants import owned, scope
from tenants.abilities import Ability
from tenants.access import SYSTEM, tenant_for
from tenants.models import Connection, Membership, Secret, Tenant
from tenants.scope import NoScope
from tests.cast import CANARY_CONTOSO, CANARY_FABRIKAM, Cast


@pytest.mark.parametrize(
    "query",
    [
        lambda: list(Connection.objects.all()),
        lambda: Connection.objects.exists(),
        lambda: Connection.objects.count(),
        lambda: Connection.objects.first(),
        lambda: Connection.objects.aggregate(Count("id")),
        lambda: Connection.objects.filter(tenant__name="Contoso").exists(),
        lambda: Connection.objects.update(client_id=uuid.uuid4()),
        lambda: Connection.objects.all().delete(),
        lambda: Connection.objects.bulk_create([Connection(client_id=uuid.uuid4())]),
        lambda: Connection.objects.create(client_id=uuid.uuid4()),
        lambda: Connection.objects.raw("SELECT * FROM tenants_connection"),
        lambda: Tenant.objects.get(name="Contoso"),
        lambda: list(Connection._base_manager.all()),
        lambda: list(Tenant.objects.iterator()),
        lambda: Tenant.objects.in_bulk(),
    ],
)
def test_no_scope_no_query(cast: Cast, query: Any) -> None:
    with pytest.raises(NoScope):
        query()


def test_a_scope_shows_its_own_customer_only(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        assert [t.name for t in Tenant.objects.all()] == ["Contoso"]
        assert Connection.objects.get().tenant.name == "Contoso"
    with scope.some([cast.contoso.id, cast.fabrikam.id]):
        assert [t.name for t in Tenant.objects.all()] == ["Contoso", "Fabrikam"]


def test_a_query_does_not_outlive_its_scope(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        lazy = Connection.objects.all()
    with pytest.raises(NoScope):
        list(lazy)
    with scope.one(cast.fabrikam.id), pytest.raises(NoScope):
        list(lazy)
    with scope.every("a wider scope may run it, and its filter stays"):
        assert [row.tenant_id for row in lazy] == [cast.contoso.id]


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: rows.update(client_id=uuid.uuid4()),
        lambda rows: rows.delete(),
        lambda rows: rows._raw_delete(None),
        lambda rows: rows._update([]),
    ],
)
def test_a_write_does_not_outlive_its_scope_either(cast: Cast, write: Any) -> None:
    with scope.one(cast.contoso.id):
        lazy = Connection.objects.all()
    with scope.one(cast.fabrikam.id), pytest.raises(NoScope):
        write(lazy)


def test_a_row_is_checked_where_django_saves_it_without_save(cast: Cast) -> None:
    with scope.one(cast.contoso.id), pytest.raises(NoScope):
        Connection(tenant_id=cast.fabrikam.id, client_id=uuid.uuid4()).save_base(raw=True)


def test_a_door_opens_in_a_session_only(cast: Cast) -> None:
    with pytest.raises(NoScope):
        tenant_for(SYSTEM, cast.contoso.id, needs=Ability.VIEW_TENANT)


def test_walking_a_foreign_key_stays_inside(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        row = Connection.objects.get()
    with scope.one(cast.fabrikam.id):
        with pytest.raises(Tenant.DoesNotExist):
            _ = row.tenant
        with pytest.raises(NoScope):
            row.save()
        with pytest.raises(NoScope):
            row.delete()
        with pytest.raises(NoScope):
            Connection.objects.bulk_create([Connection(tenant_id=cast.contoso.id, client_id=uuid.uuid4())])
        assert Connection.objects.filter(id=row.id).update(client_id=uuid.uuid4()) == 0
        assert Connection.objects.filter(id=row.id).delete()[0] == 0


def test_a_row_never_changes_its_customer(cast: Cast) -> None:
    with scope.one(cast.contoso.id), pytest.raises(NoScope):
        Connection.objects.update(tenant=cast.fabrikam)


def _raw(sql: str, *args: object) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall()


WALLED = [
    "tenants_tenant",
    "tenants_membership",
    "tenants_tenantkey",
    "tenants_secret",
    "tenants_connection",
    "replication_lane",
    "replication_command",
    "replication_step",
    "authstatus_check",
]


@pytest.mark.parametrize("table", WALLED)
def test_raw_sql_sees_nothing_without_a_scope(cast: Cast, table: str) -> None:
    assert _raw(f"SELECT count(*) FROM {table}") == [(0,)]


def test_raw_sql_sees_its_own_rows_only(cast: Cast) -> None:
    with scope.one(cast.contoso.id):
        assert _raw("SELECT domain FROM tenants_tenant") == [(f"{CANARY_CONTOSO}.example",)]
        assert _raw("SELECT count(*) FROM tenants_tenant WHERE id = %s", str(cast.fabrikam.id)) == [(0,)]
        joined = _raw("SELECT t.domain FROM tenants_secret s RIGHT JOIN tenants_tenant t ON true")
        assert CANARY_FABRIKAM not in str(joined)


def test_with_the_filter_switched_off_the_database_alone_leaks_nothing(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owned.ScopedQuerySet, "in_scope", lambda self: self)
    monkeypatch.setattr(owned.ScopedQuery, "check", lambda self: None)
    monkeypatch.setattr(owned, "check_owned", lambda model, rows: None)
    assert list(Tenant.objects.all()) == []
    with scope.one(cast.contoso.id):
        assert [t.name for t in Tenant.objects.all()] == ["Contoso"]
        assert not Connection.objects.filter(tenant_id=cast.fabrikam.id).exists()
        assert Secret.objects.filter(tenant__name="Fabrikam").count() == 0
        assert Membership.objects.filter(tenant=cast.fabrikam).count() == 0
        assert Tenant.objects.filter(id=cast.fabrikam.id).update(name="Stolen") == 0
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Connection.objects.bulk_create([Connection(tenant_id=cast.fabrikam.id, client_id=uuid.uuid4())])


def test_a_foreign_key_cannot_point_at_another_customer(cast: Cast) -> None:
    with scope.one(cast.fabrikam.id):
        foreign = Secret.objects.get()
    with (
        scope.one(cast.contoso.id),
        pytest.raises(IntegrityError, match="same_tenant"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE tenants_connection SET secret_id = %s", [str(foreign.id)])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_the_setting_ends_with_the_scope(cast: Cast) -> None:
    def setting() -> str:
        return str(_raw("SELECT coalesce(current_setting('app.tenant', true), '')")[0][0])

    with scope.one(cast.contoso.id):
        with scope.one(cast.fabrikam.id):
            assert setting() == str(cast.fabrikam.id)
        assert setting() == str(cast.contoso.id)
        with pytest.raises(IntegrityError), transaction.atomic(), scope.one(cast.fabrikam.id):
            _raw("SELECT 1")
            Tenant.objects.create(id=cast.fabrikam.id, name="Twice")
        assert setting() == str(cast.contoso.id)
        assert [t.name for t in Tenant.objects.all()] == ["Contoso"]
    assert setting() == ""


def test_every_is_a_role_that_ends_with_its_block(cast: Cast) -> None:
    def role() -> str:
        return str(_raw("SELECT current_user")[0][0])

    with scope.every("looking at the role"):
        assert role() == "ump_every"
        with scope.one(cast.contoso.id):
            assert role() == "ump_app"
            assert _raw("SELECT count(*) FROM tenants_tenant") == [(1,)]
        assert role() == "ump_every"
        assert _raw("SELECT count(*) FROM tenants_tenant") == [(2,)]
    assert role() == "ump_app"
    with pytest.raises(ZeroDivisionError), scope.every("an exception inside"):
        _ = 1 / 0
    assert role() == "ump_app"


@pytest.mark.django_db(transaction=True)
def test_a_glance_at_every_customer_leaves_no_role_behind(committed_cast: Cast) -> None:
    for outside in (contextlib.nullcontext(), scope.one(committed_cast.contoso.id), transaction.atomic()):
        with outside:
            assert scope.glance("a test", "SELECT count(*) FROM tenants_tenant WHERE name <> %s", ["x"]) == [
                (2,)
            ]
            assert _raw("SELECT current_user") == [("ump_app",)]


@pytest.mark.django_db(transaction=True)
def test_a_connection_opened_in_the_middle_of_a_scope_learns_it(committed_cast: Cast) -> None:
    with scope.one(committed_cast.contoso.id):
        connection.close()
        assert _raw("SELECT count(*) FROM tenants_tenant") == [(1,)]
        assert [t.name for t in Tenant.objects.all()] == ["Contoso"]
    assert _raw("SELECT count(*) FROM tenants_tenant") == [(0,)]


def test_the_application_cannot_truncate_or_change_the_trail(cast: Cast) -> None:
    for sql in (
        "TRUNCATE tenants_tenant CASCADE",
        "DELETE FROM audit_entry",
        "UPDATE audit_entry SET action = 'x'",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            _raw(sql)


def test_the_trail_is_walled_too(cast: Cast) -> None:
    assert not Entry.objects.exists()
    with scope.one(cast.contoso.id):
        assert CANARY_FABRIKAM not in str(list(Entry.objects.values()))
        assert Entry.objects.filter(action="tenant.added").count() == 1


def test_every_table_with_a_tenant_has_a_wall() -> None:
    """A new model cannot be forgotten: its table needs a policy, its manager the scope."""
    from django.apps import apps

    for model in apps.get_models(include_auto_created=True):
        names = {field.name for field in model._meta.get_fields()}
        if "tenant" not in names and model is not Tenant:
            continue
        assert issubclass(model, owned.Owned), model
        assert isinstance(model._base_manager, owned.ScopedManager), f"{model} lost its base manager"


@pytest.mark.django_db
def test_every_walled_model_has_policies_in_the_database() -> None:
    from django.apps import apps

    tables = {model._meta.db_table for model in apps.get_models() if issubclass(model, owned.Owned)}
    rows = _raw(
        "SELECT c.relname, c.relrowsecurity, array_agg(p.polname::text) FROM pg_class c"
        " LEFT JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relname = ANY(%s) GROUP BY 1, 2",
        list(tables),
    )
    assert {row[0] for row in rows} == tables
    for name, secured, policies in rows:
        assert secured, name
        assert set(policies) >= {f"{name}_scoped", f"{name}_every"}, name


def _walled() -> list[type[Any]]:
    from django.apps import apps

    return [each for each in apps.get_models(include_auto_created=True) if issubclass(each, owned.Owned)]


@pytest.mark.django_db
def test_every_policy_lets_through_the_scope_and_nothing_else() -> None:
    """Word for word, for reading and for writing: a policy that says yes to everything has the right name too."""
    ids = "string_to_array(NULLIF(current_setting('app.tenant'::text, true), ''::text), ','::text)"
    inside = f" = ANY (( SELECT ({ids})::uuid[] AS string_to_array)::uuid[])"
    rows = _raw(
        "SELECT polrelid::regclass::text, polname, polcmd::text, polroles::regrole[]::text,"
        " pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy"
        " WHERE polrelid <> 'audit_entry'::regclass"
    )
    found = {row[:2]: row[2:] for row in rows}
    wanted = {}
    for model in _walled():
        table, column = model._meta.db_table, owned.owner_column(model)
        wanted[table, f"{table}_scoped"] = ("*", "{ump_app}", f"({column}{inside})", f"({column}{inside})")
        wanted[table, f"{table}_every"] = ("*", "{ump_every}", "true", "true")
    assert found == wanted


@pytest.mark.django_db
def test_every_row_that_points_at_a_customers_row_is_tied_to_the_same_customer() -> None:
    """Plain foreign keys are checked past row-level security (facts/security.md 1, row R)."""
    ties = {
        (table, definition.partition(" DEFERRABLE")[0])
        for table, definition in _raw(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
        )
    }
    for model in set(_walled()) - {Tenant}:
        for field in model._meta.get_fields():
            points = (field.many_to_one or field.one_to_one) and field.concrete
            target = field.related_model if points else None
            if target in {None, Tenant} or not issubclass(target, owned.Owned):
                continue
            table, other = model._meta.db_table, target._meta.db_table
            tie = (table, f"FOREIGN KEY (tenant_id, {field.column}) REFERENCES {other}(tenant_id, id)")
            assert tie in ties, f"add same_tenant({table!r}, {field.column!r}, {other!r}) to a migration"
