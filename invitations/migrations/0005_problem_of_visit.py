from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("invitations", "0004_flow_of_same_tenant"),
    ]

    operations = [
        migrations.AddField(
            model_name="visit",
            name="problem",
            field=models.JSONField(help_text="core.errors.Rendered: what this visitor met last.", null=True),
        ),
    ]
