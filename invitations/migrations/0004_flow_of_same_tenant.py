from django.db import migrations

from tenants.rls import same_tenant


class Migration(migrations.Migration):
    dependencies = [
        ("invitations", "0003_cloud_of_invitation"),
        ("tenants", "0017_flow_of_tenant"),
    ]

    operations = [same_tenant("invitations_visit", "flow_id", "tenants_signinflow")]
