import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("user_templates", "0001_templates"),
    ]

    operations = [
        migrations.AddField(
            model_name="usertemplate",
            name="confirmed_kind",
            field=models.CharField(blank=True, default="", max_length=10),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="usertemplate",
            name="confirmed_id",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Whoever started it answers for what it asks for.",
                max_length=64,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="usertemplate",
            name="lacks",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=500),
                default=list,
                help_text=(
                    "Of a copy: what this customer lacks. It starts only once somebody has mended that."
                ),
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="usertemplate",
            name="group_id",
            field=models.UUIDField(
                help_text="Object id; members of groups inside it count too.", verbose_name="Group"
            ),
        ),
    ]
