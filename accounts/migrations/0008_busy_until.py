from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_brand")]

    operations = [
        migrations.AddField(
            model_name="apitoken",
            name="busy_until",
            field=models.DateTimeField(
                editable=False,
                help_text="When its requests so far are paid for, at the rate allowed.",
                null=True,
            ),
        ),
    ]
