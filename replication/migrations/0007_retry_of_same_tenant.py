from django.db import migrations

from tenants.rls import same_tenant


class Migration(migrations.Migration):
    dependencies = [("replication", "0006_lane_turns")]

    operations = [same_tenant("replication_command", "retry_of_id", "replication_command")]
