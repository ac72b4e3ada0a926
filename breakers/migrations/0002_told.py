from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("breakers", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="breaker",
            name="told",
            field=models.BooleanField(default=False, help_text="As an event."),
        ),
    ]
