import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0011_dns_key"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProviderStandby",
            fields=[
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("candidate", "Being proven"),
                            ("former", "Kept until the new one is proven"),
                        ],
                        max_length=10,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("client_id", models.UUIDField()),
                (
                    "certificate",
                    models.TextField(blank=True, help_text="The public certificate in PEM form."),
                ),
                ("set_by", models.CharField(max_length=254)),
                (
                    "since",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "secret",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="tenants.providersecret",
                    ),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="standby",
            name="purpose",
            field=models.CharField(
                choices=[("migration", "Migration"), ("rotation", "Renewal of the credential")], max_length=10
            ),
        ),
    ]
