from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0008_refused_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="held_at",
            field=models.DateTimeField(
                editable=False,
                help_text="Since when a refusal holds the data work, until a check succeeds.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="connection",
            name="organization",
            field=models.JSONField(
                editable=False,
                help_text="What the check before the first replication found there.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="connection",
            name="confirmed_for",
            field=models.UUIDField(
                editable=False,
                help_text="The Azure Tenant Id that a person said is the right one.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="connection",
            name="confirmed_by",
            field=models.CharField(blank=True, default="", editable=False, max_length=254),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="connection",
            name="confirmed_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
