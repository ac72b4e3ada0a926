"""Which line of a file asked for a change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0002_plans_under_way")]

    operations = [
        migrations.AddField(
            "change",
            "file_line",
            models.PositiveIntegerField(null=True, help_text="Of the file that its edit is called after."),
        ),
    ]
