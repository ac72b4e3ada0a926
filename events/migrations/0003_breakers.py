from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0002_invitations"),
    ]

    operations = [
        migrations.AlterField(
            model_name="event",
            name="type",
            field=models.CharField(
                choices=[
                    ("connection.degraded", "A customer's access stopped working"),
                    ("connection.restored", "A customer's access works again"),
                    ("secret.expiring", "A secret or certificate ends soon"),
                    ("invitation.sent", "An invitation was mailed"),
                    ("invitation.opened", "A customer's administrator opened an invitation"),
                    ("invitation.completed", "An invitation led to a proven connection"),
                    ("invitation.revoked", "An invitation was withdrawn"),
                    ("tenant.connected", "A customer's first check succeeded"),
                    ("breaker.opened", "The provider's own line stopped working"),
                    ("breaker.closed", "The provider's own line works again"),
                    ("webhook.test", "Somebody pressed Send test event"),
                ],
                max_length=40,
            ),
        ),
    ]
