import django.db.models.deletion
from django.db import migrations, models

from tenants.rls import wall


class Migration(migrations.Migration):
    dependencies = [
        ("authstatus", "0004_qoe"),
        ("tenants", "0012_provider_standby"),
    ]

    operations = [
        migrations.CreateModel(
            name="RegistrationKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("client_id", models.UUIDField()),
                ("key_id", models.UUIDField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("client_secret", "Client secret"),
                            ("certificate_key", "Private key of a certificate"),
                            ("token_cache", "Tokens of a signed-in administrator"),
                            ("password", "Password of an account"),
                            ("webhook", "Signing secret of a webhook"),
                            ("sign_in", "Part of a sign-in under way"),
                            ("dns_key", "Key of a DNS zone"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "name",
                    models.CharField(blank=True, help_text="Its description at Microsoft.", max_length=256),
                ),
                ("expires_at", models.DateTimeField(null=True)),
                (
                    "service",
                    models.CharField(
                        blank=True, help_text="Whatever else uses it, as a person has said.", max_length=60
                    ),
                ),
                ("said_by", models.CharField(blank=True, max_length=254)),
                ("seen_at", models.DateTimeField(help_text="When Microsoft listed it last.")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "key_id"), name="registration_key_once")
                ],
            },
        ),
        wall("authstatus_registrationkey"),
    ]
