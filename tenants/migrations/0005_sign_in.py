from django.db import migrations, models

KINDS = [
    ("client_secret", "Client secret"),
    ("certificate_key", "Private key of a certificate"),
    ("token_cache", "Tokens of a signed-in administrator"),
    ("password", "Password of an account"),
    ("sign_in", "Part of a sign-in under way"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0004_daily_check"),
    ]

    operations = [
        migrations.AlterField(
            model_name="providersecret", name="kind", field=models.CharField(choices=KINDS, max_length=20)
        ),
        migrations.AlterField(
            model_name="secret", name="kind", field=models.CharField(choices=KINDS, max_length=20)
        ),
    ]
