"""A membership is tied to its group by what a whole statement wrote, not row by row (docs/decisions/0025).

The same promises as the foreign key that goes: no membership without its group of the same customer, whatever
happens at the same time, and none that outlives it.
"""

from django.db import migrations

NAME = "directory_member_group_same_tenant"
KEY = f"""
ALTER TABLE directory_member ADD CONSTRAINT {NAME}
    FOREIGN KEY (tenant_id, group_id) REFERENCES directory_group (tenant_id, object_id) ON DELETE CASCADE;
"""
NO_KEY = f"ALTER TABLE directory_member DROP CONSTRAINT {NAME};"

# OFFSET 0 makes the planner look each group up by its primary key, whatever statistics say. The lock is the one
# that a foreign key takes: whoever deletes a group waits for us, and we for him.
TIES = f"""
CREATE FUNCTION directory_member_has_group() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM (SELECT DISTINCT tenant_id, group_id FROM written) w
       LEFT JOIN LATERAL (SELECT 1 AS there FROM directory_group g
                           WHERE g.tenant_id = w.tenant_id AND g.object_id = w.group_id
                             FOR KEY SHARE OFFSET 0) g ON true
      WHERE g.there IS NULL;
    IF FOUND THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'a membership without its group of the same customer ({NAME})',
            CONSTRAINT = '{NAME}', TABLE = 'directory_member';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER {NAME}_added AFTER INSERT ON directory_member
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION directory_member_has_group();
CREATE TRIGGER {NAME}_changed AFTER UPDATE ON directory_member
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION directory_member_has_group();

CREATE FUNCTION directory_group_takes_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM directory_member WHERE tenant_id = OLD.tenant_id AND group_id = OLD.object_id;
    RETURN NULL;
END $$;
CREATE TRIGGER {NAME}_gone AFTER DELETE ON directory_group
    FOR EACH ROW EXECUTE FUNCTION directory_group_takes_members();

CREATE FUNCTION directory_group_keeps_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE foreign_key_violation USING
        MESSAGE = 'a group keeps its id and its customer ({NAME})',
        CONSTRAINT = '{NAME}', TABLE = 'directory_group';
END $$;
CREATE TRIGGER {NAME}_key BEFORE UPDATE OF tenant_id, object_id ON directory_group FOR EACH ROW
    WHEN ((OLD.tenant_id, OLD.object_id) IS DISTINCT FROM (NEW.tenant_id, NEW.object_id))
    EXECUTE FUNCTION directory_group_keeps_key();
"""  # noqa: S608  a name of our own
NO_TIES = f"""
DROP TRIGGER {NAME}_key ON directory_group;
DROP TRIGGER {NAME}_gone ON directory_group;
DROP TRIGGER {NAME}_changed ON directory_member;
DROP TRIGGER {NAME}_added ON directory_member;
DROP FUNCTION directory_group_keeps_key(), directory_group_takes_members(), directory_member_has_group();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("directory", "0003_parts_of_names"),
    ]

    operations = [
        migrations.RunSQL(TIES, NO_TIES),
        migrations.RunSQL(NO_KEY, KEY),
    ]
