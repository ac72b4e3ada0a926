"""People who sign in, and machines that call the API. What each may do is said in `tenants`."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils.crypto import salted_hmac

from accounts.sessions import LONGEST_AGENT, SessionStore, words_of


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person. The e-mail address is the sign-in name; letter case does not matter."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField("e-mail address", max_length=254)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(db_default=Now(), editable=False)
    session_epoch = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text="Sessions of an earlier epoch are over."
    )

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return str(self)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Each request compares this with what the session was opened with; a new epoch ends them all."""
        return salted_hmac(
            "accounts.models.User", f"{self.session_epoch}|{self.password}", secret=secret, algorithm="sha256"
        ).hexdigest()


class Session(AbstractBaseSession):
    """A browser in which somebody is signed in, or about to be; see accounts.sessions."""

    session_key = models.CharField(
        max_length=64, primary_key=True, help_text="SHA-256 of the cookie's value."
    )
    user = models.ForeignKey(User, models.CASCADE, null=True, related_name="+")
    auth_hash = models.CharField(
        max_length=128,
        blank=True,
        help_text="It lives while this is the person's own; see User.session_epoch.",
    )
    started_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(db_default=Now())
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=LONGEST_AGENT, blank=True)

    SAVED: ClassVar = ("session_data", "user", "auth_hash")

    def __str__(self) -> str:
        return f"{self.words}, {self.address or 'from an unknown address'}"

    @property
    def words(self) -> str:
        return words_of(self.agent)

    def save(self, *, force_update: bool = False, **more: Any) -> None:
        """Where it comes from, and how long it lasts, stay as they are when its data are saved again."""
        if force_update:
            more["update_fields"] = self.SAVED
        super().save(force_update=force_update, **more)

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        return SessionStore


class ApiToken(models.Model):
    """A machine's key to the API: `cpk_<public id>_<43 random characters>`, of which only a hash is kept.

    A SHA-256 is enough for 256 random bits (facts/security.md 5.5); it is compared in constant time.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    public_id = models.CharField(max_length=16, unique=True)
    digest = models.BinaryField(max_length=32)
    name = models.CharField(max_length=120)
    role = models.CharField(max_length=20, help_text="The role it acts in; see tenants.abilities.")
    tenant_id = models.UUIDField(null=True, help_text="Bound to this customer; none = the whole provider.")
    scopes = ArrayField(models.CharField(max_length=40), help_text="Abilities out of the role; narrows only.")
    networks = ArrayField(models.CharField(max_length=43), default=list, help_text="CIDR blocks; none = any.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    last_used_from = models.GenericIPAddressField(null=True)
    busy_until = models.DateTimeField(
        null=True, editable=False, help_text="When its requests so far are paid for, at the rate allowed."
    )
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class Setting(models.Model):
    """A setting of the installation that somebody changed; see accounts.installation."""

    name = models.CharField(max_length=40, primary_key=True)
    value = models.JSONField()
    set_by = models.CharField(max_length=254)
    set_at = models.DateTimeField(db_default=Now())


class SavedView(models.Model):
    """How a person likes to see a list: its filters, order and page size under a name. Nobody else's."""

    LISTS: ClassVar = {
        "tenants": "Tenants",
        "queue": "Queued Tasks",
        "users": "Users",
        "audit": "Audit",
        "invitations": "Customer Invitations",
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    page = models.CharField(max_length=20, choices=list(LISTS.items()), help_text="Which list.")
    name = models.CharField(max_length=40)
    query = models.CharField(
        max_length=1000, help_text="The list's address behind the question mark, in order."
    )

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint("user", "page", Lower("name"), name="view_once")]

    def __str__(self) -> str:
        return self.name


class Brand(models.Model):
    """How the provider shows itself (SHP-14, SHP-15): one an installation. What is empty, the environment says."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    portal_name = models.CharField(max_length=60, blank=True)
    provider_name = models.CharField(max_length=60, blank=True)
    logo = models.BinaryField(null=True, max_length=100_000)
    logo_type = models.CharField(max_length=20, blank=True)
    accent = models.CharField(max_length=7, blank=True)
    support_url = models.CharField(max_length=300, blank=True)
    security_contact = models.CharField(max_length=300, blank=True)
    feedback_url = models.CharField(max_length=300, blank=True)
    changed_by = models.CharField(max_length=254, editable=False)
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(name="one_brand", condition=models.Q(id=1))]
