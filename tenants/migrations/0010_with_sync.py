from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0009_held_and_confirmed"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="with_sync",
            field=models.BooleanField(
                default=True,
                help_text="Aura Sync: users and groups are read from Microsoft 365 (SYN-01).",
                verbose_name="With sync",
            ),
        ),
    ]
