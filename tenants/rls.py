"""Row-level security as migration operations: the third wall, which raw SQL meets as well (DESIGN 6).

The owner role migrates and is not subject to policies; the application's role sees the rows of
`app.tenant`; the role `ump_every` sees all, and is entered only by `tenants.scope.every`. It is a role and
not an OR in the policy, because an OR turns every index into a sequential scan.
"""

from django.db.migrations import RunSQL

# NULL when nothing is set, and then no row matches; an array, so that one policy serves one tenant and a set.
# In a subselect, so that it is worked out once a statement and not once a row: 250,000 rows went in 4 times faster.
SCOPED = "any((SELECT string_to_array(nullif(current_setting('app.tenant', true), ''), ',')::uuid[])::uuid[])"


def wall(table: str, column: str = "tenant_id") -> RunSQL:
    """Wall off a table. The application's filter is still written by hand: the planner needs it."""
    return RunSQL(
        f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY {table}_scoped ON {table} FOR ALL TO ump_app
            USING ({column} = {SCOPED}) WITH CHECK ({column} = {SCOPED});
        CREATE POLICY {table}_every ON {table} FOR ALL TO ump_every USING (true) WITH CHECK (true);
        """,
        f"""
        DROP POLICY {table}_every ON {table};
        DROP POLICY {table}_scoped ON {table};
        ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
        """,
    )


def same_tenant(table: str, column: str, target: str) -> RunSQL:
    """A composite foreign key: the row pointed at belongs to the same customer.

    A plain foreign key is checked past row-level security and would accept another customer's row
    (facts/security.md 1, row R).
    """
    name = f"{table}_{column}_same_tenant"
    return RunSQL(
        f"""
        ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (tenant_id, {column})
            REFERENCES {target} (tenant_id, id) DEFERRABLE INITIALLY DEFERRED;
        """,
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )
