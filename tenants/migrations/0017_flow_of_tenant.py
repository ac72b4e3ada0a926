from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0016_deploy_problem")]

    operations = [
        migrations.AddConstraint(
            model_name="signinflow",
            constraint=models.UniqueConstraint(fields=("tenant", "id"), name="sign_in_flow_of_tenant"),
        ),
    ]
