from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0012_provider_standby"),
    ]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="claims",
            field=models.TextField(
                blank=True,
                default="",
                editable=False,
                help_text="What Microsoft demanded when it refused a sign-in (Conditional Access), for the next one.",
            ),
            preserve_default=False,
        ),
    ]
