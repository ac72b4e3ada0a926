import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0009_held_and_confirmed"),
        ("webhooks", "0002_digest"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="former_secret",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="+",
                to="tenants.providersecret",
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="former_until",
            field=models.DateTimeField(help_text="Until then the former secret signs too.", null=True),
        ),
    ]
