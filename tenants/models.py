"""Customers, who may act for them, and how the portal gets into their Microsoft 365."""

import datetime as dt
import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Lower, Now, Upper
from django.utils import timezone

from accounts import installation
from tenants.abilities import Role
from tenants.owned import Owned, TenantOwned


class Plan(models.TextChoices):
    """Service levels (SHP-04); app registrations exist for the last two only (SHP-05)."""

    ESSENTIALS = "essentials", "Hosted Essentials"
    ESSENTIALS_PLUS = "essentials_plus", "Hosted Essentials Plus"
    PRO = "pro", "Hosted Pro"


class Service(models.TextChoices):
    """Service families (SHP-03)."""

    DIRECT_ROUTING = "direct_routing", "Direct Routing"
    OPERATOR_CONNECT = "operator_connect", "Operator Connect"


class Cloud(models.TextChoices):
    """The Microsoft clouds of m365.clouds; a tenant lives in exactly one."""

    GLOBAL = "global", "Microsoft 365 (worldwide, GCC)"
    GCC_HIGH = "gcc_high", "GCC High"
    DOD = "dod", "DoD"
    CHINA = "china", "China (21Vianet)"


class DeployState(models.TextChoices):
    """DEP-01..07, the first half; the second is derived in tenants.deployment."""

    UNKNOWN = "unknown", "Unknown"
    READY = "ready", "Ready"
    DEPLOYED = "deployed", "Deployed"
    FAILED = "failed", "Failed"


class Tenant(Owned):
    """A customer. Its id is random, so it may stand in URLs; `entra_tenant_id` is Microsoft's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField("Customer Name", max_length=120)
    domain = models.CharField(max_length=253, blank=True)
    entra_tenant_id = models.UUIDField("Azure Tenant Id", null=True, blank=True)
    plan = models.CharField(max_length=20, choices=Plan, default=Plan.PRO)
    service = models.CharField(max_length=20, choices=Service, default=Service.DIRECT_ROUTING)
    licensed_users = models.PositiveIntegerField(default=0)
    enabled = models.BooleanField(default=True)
    with_sync = models.BooleanField(
        "With sync",
        default=True,
        help_text="Aura Sync: users and groups are read from Microsoft 365 (SYN-01).",
    )
    deploy_state = models.CharField(max_length=10, choices=DeployState, default=DeployState.UNKNOWN)
    deploying_since = models.DateTimeField(
        null=True, editable=False, help_text="While a deployment, or the undoing of one, is under way."
    )
    deploy_problem = models.JSONField(
        null=True, editable=False, help_text="core.errors.Rendered: why the last deployment stopped."
    )
    version = models.CharField(max_length=20, default=settings.VERSION, help_text="Of this customer's data.")
    last_replicated_at = models.DateTimeField(null=True, editable=False)
    users_count = models.PositiveIntegerField(null=True, editable=False)
    groups_count = models.PositiveIntegerField(null=True, editable=False)
    cycle_delay = models.PositiveIntegerField(
        null=True, blank=True, help_text="QuickReplicationCycleDelay of this customer, in seconds."
    )
    next_cycle_at = models.DateTimeField(db_default=Now(), editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    paused_by = models.CharField(max_length=254, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    shred_at = models.DateTimeField(null=True, editable=False)

    class Meta(Owned.Meta):
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"), name="tenant_name_once", condition=models.Q(deleted_at=None)
            ),
            models.UniqueConstraint(
                fields=["entra_tenant_id"], name="entra_tenant_once", condition=models.Q(deleted_at=None)
            ),
        ]
        indexes = [
            models.Index(fields=["next_cycle_at"], name="tenant_cycle", condition=models.Q(deleted_at=None)),
            models.Index(fields=["name", "id"], name="tenant_by_name", condition=models.Q(deleted_at=None)),
            # As `icontains` asks for them: a search in lists of customers.
            GinIndex(
                OpClass(Upper("name"), "gin_trgm_ops"),
                OpClass(Upper("domain"), "gin_trgm_ops"),
                name="tenant_by_parts",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def delay(self) -> dt.timedelta:
        """QuickReplicationCycleDelay: the customer's own, or the installation's (DEF-02)."""
        own = self.cycle_delay
        seconds = installation.get("quick_replication_cycle_delay") if own is None else own
        return dt.timedelta(seconds=seconds)

    @property
    def is_over(self) -> bool:
        """Deleted for so long that it is destroyed: for pages; who decides asks tenants.selectors.is_over."""
        return self.shred_at is not None and self.shred_at <= timezone.now()


class Membership(Owned):
    """A person's role: for one customer, or (no tenant) for the provider as a whole."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    tenant = models.ForeignKey(Tenant, models.CASCADE, null=True, blank=True, related_name="+")
    role = models.CharField(max_length=20, choices=[(role.value, role.words) for role in Role])
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(Owned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["user", "tenant"], name="one_role_per_person_and_tenant", nulls_distinct=False
            ),
            models.CheckConstraint(
                name="customer_roles_name_a_tenant",
                condition=~models.Q(role__in=["customer_admin", "customer_monitor"], tenant=None),
            ),
        ]


class KeyPair(models.Model):
    """A pair of keys: the public half in the open, the private half sealed for the workers (DESIGN 7)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    public = models.BinaryField(max_length=32)
    public_mac = models.BinaryField(max_length=32)
    web_key_id = models.CharField(max_length=40)
    wrapped_private = models.BinaryField(max_length=200)
    kek_id = models.CharField(max_length=40)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    current = models.BooleanField(default=True)

    class Meta:
        abstract = True

    @property
    def owner(self) -> str:
        """Whose secrets lie under it: bound into every seal, so that none opens under another's name."""
        raise NotImplementedError


class TenantKey(TenantOwned, KeyPair):
    """A customer's keys. Deleting the row is the shred: what was sealed with it can never be read again."""

    class Meta(TenantOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], name="one_current_key", condition=models.Q(current=True)
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="tenantkey_of_tenant"),
        ]

    @property
    def owner(self) -> str:
        return str(self.tenant_id)


class ProviderKey(KeyPair):
    """The provider's own keys."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["current"], name="one_current_provider_key", condition=models.Q(current=True)
            )
        ]

    @property
    def owner(self) -> str:
        return "provider"


class SecretKind(models.TextChoices):
    CLIENT_SECRET = "client_secret", "Client secret"
    CERTIFICATE_KEY = "certificate_key", "Private key of a certificate"
    TOKEN_CACHE = "token_cache", "Tokens of a signed-in administrator"
    PASSWORD = "password", "Password of an account"
    WEBHOOK = "webhook", "Signing secret of a webhook"
    SIGN_IN = "sign_in", "Part of a sign-in under way"
    DNS_KEY = "dns_key", "Key of a DNS zone"
    SITE = "site", "Secret values of a site"


class Sealed(models.Model):
    """A secret. The value is sealed for workers; what is shown is kind, hint, who and when."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=SecretKind)
    sealed = models.BinaryField()
    hint = models.CharField(max_length=4, blank=True, help_text="The last four characters of a long secret.")
    set_by = models.CharField(max_length=254)
    set_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    ends_read_at = models.DateTimeField(
        null=True, editable=False, help_text="When Microsoft said last that it ends at `expires_at`."
    )
    microsoft_id = models.UUIDField(
        null=True,
        editable=False,
        help_text="Microsoft's id of this secret or certificate on the registration.",
    )

    class Meta:
        abstract = True


class Secret(TenantOwned, Sealed):
    """A customer's secret; with ProviderSecret the only table that holds any."""

    key = models.ForeignKey(TenantKey, models.RESTRICT, related_name="+")

    class Meta(TenantOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="secret_of_tenant")]


class ProviderSecret(Sealed):
    """A secret of the provider's own registration."""

    key = models.ForeignKey(ProviderKey, models.RESTRICT, related_name="+")


class Verification(models.TextChoices):
    """Last Verification Status (AUT-12, decision 6)."""

    NEVER = "never", "Never Performed"
    SUCCESSFUL = "successful", "Successful"
    FAILED = "failed", "Failed"
    NO_TOKEN = "no_token", "Token not generated"


class Method(models.TextChoices):
    """How the portal signs in (M36-15, M36-16, M36-27)."""

    APP = "app", "App registration"
    TOKEN = "token", "Token"
    PASSWORD = "password", "Password"


class AppOwner(models.TextChoices):
    """Whose app registration it is; only worldwide tenants may use the provider's (SYN-19)."""

    CUSTOMER = "customer", "Customer's own"
    PROVIDER = "provider", "Provider's"


class ProviderApp(models.Model):
    """The provider's own app registration, for customers without one (APP-01): one an installation."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    client_id = models.UUIDField("Client Id", null=True, blank=True)
    redirect_uri = models.URLField("Redirect Uri", max_length=300, blank=True)
    home_tenant_id = models.UUIDField(
        null=True, blank=True, help_text="The provider's own tenant, where the registration lives."
    )
    secret = models.ForeignKey(ProviderSecret, models.RESTRICT, null=True, related_name="+")
    certificate = models.TextField(blank=True, help_text="The public certificate in PEM form.")
    verification = models.CharField(max_length=12, choices=Verification, default=Verification.NEVER)
    verified_at = models.DateTimeField(null=True, editable=False)
    problem = models.JSONField(null=True, editable=False, help_text="core.errors.Rendered of the last check.")
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(name="one_provider_app", condition=models.Q(id=1))]


class SignIn(TenantOwned):
    """A way into a customer's tenant: whose app, which credential, and as whom."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cloud = models.CharField(max_length=10, choices=Cloud, default=Cloud.GLOBAL)
    method = models.CharField(max_length=10, choices=Method, default=Method.APP)
    app_owner = models.CharField(max_length=10, choices=AppOwner, default=AppOwner.CUSTOMER)
    client_id = models.UUIDField("Client Id")
    secret = models.ForeignKey(Secret, models.RESTRICT, null=True, related_name="+")
    certificate = models.TextField(blank=True, help_text="The public certificate in PEM form.")
    account = models.CharField(
        "M365 Email", max_length=254, blank=True, help_text="Who consented, or whose password it is."
    )

    class Meta(TenantOwned.Meta):
        abstract = True


class Connection(SignIn):
    """How the portal signs in to the customer's tenant, and what the last check of that said."""

    # With a name for queries, so that a list of customers joins it (tenants.health).
    tenant = models.ForeignKey(
        "tenants.Tenant", models.CASCADE, related_name="+", related_query_name="connection"
    )
    verification = models.CharField(max_length=12, choices=Verification, default=Verification.NEVER)
    # When the last check began, by the database's clock: no token from before it is used (tenants.lines).
    verified_at = models.DateTimeField(null=True, editable=False)
    problem = models.JSONField(null=True, editable=False, help_text="core.errors.Rendered of the last check.")
    propagating_until = models.DateTimeField(null=True, editable=False)
    next_check_at = models.DateTimeField(
        db_default=Now() + dt.timedelta(days=1), editable=False, help_text="When the daily check is due."
    )
    granted = models.ForeignKey(
        Secret,
        models.RESTRICT,
        null=True,
        related_name="+",
        help_text="Token or Password: what the account gave; beside it the app may have a secret of its own.",
    )
    granted_at = models.DateTimeField(null=True, editable=False, help_text="When the account signed in last.")
    refreshed_at = models.DateTimeField(
        null=True, editable=False, help_text="When its tokens were used last."
    )
    refused_at = models.DateTimeField(
        null=True, editable=False, help_text="Password: when Microsoft refused it; it then rests for a while."
    )
    claims = models.TextField(
        blank=True,
        editable=False,
        help_text="What Microsoft demanded when it refused a sign-in (Conditional Access), for the next one.",
    )
    max_access_failures = models.PositiveSmallIntegerField(
        "Max Access Failures", null=True, blank=True, help_text="Empty: the installation's."
    )
    access_failure_window = models.PositiveIntegerField(
        "Access Failure Window", null=True, blank=True, help_text="In minutes. Empty: the installation's."
    )
    degraded_at = models.DateTimeField(
        null=True, editable=False, help_text="Set while Degraded (decision 7)."
    )
    held_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Since when a refusal holds the data work, until a check succeeds.",
    )
    organization = models.JSONField(
        null=True, editable=False, help_text="What the check before the first replication found there."
    )
    confirmed_for = models.UUIDField(
        null=True, editable=False, help_text="The Azure Tenant Id that a person said is the right one."
    )
    confirmed_by = models.CharField(max_length=254, blank=True, editable=False)
    confirmed_at = models.DateTimeField(null=True, editable=False)
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta(TenantOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="one_connection"),
            models.UniqueConstraint(fields=["tenant", "id"], name="connection_of_tenant"),
        ]

    @property
    def usable(self) -> bool:
        """The hard gate (M36-25): nothing is replicated before a check of this very credential succeeded."""
        return self.verification == Verification.SUCCESSFUL

    @property
    def problem_message(self) -> str:
        problem: dict[str, Any] = self.problem or {}
        return str(problem.get("message", ""))


class StandbyRole(models.TextChoices):
    CANDIDATE = "candidate", "Being proven"
    FORMER = "former", "Kept until the new one is proven"


class Purpose(models.TextChoices):
    """Why there is a second way in for a while."""

    MIGRATION = "migration", "Migration"
    ROTATION = "rotation", "Renewal of the credential"


class Standby(SignIn):
    """A way in beside the one in use: a candidate that is not proven yet, or the former one, kept until then."""

    role = models.CharField(max_length=10, choices=StandbyRole)
    purpose = models.CharField(max_length=10, choices=Purpose)
    granted = models.ForeignKey(Secret, models.RESTRICT, null=True, related_name="+")
    granted_at = models.DateTimeField(null=True, editable=False)
    refreshed_at = models.DateTimeField(null=True, editable=False)
    worked = models.BooleanField(default=False, help_text="Former: it was proven when it was replaced.")
    problem = models.JSONField(
        null=True, editable=False, help_text="core.errors.Rendered: why it was refused."
    )
    set_by = models.CharField(max_length=254)
    since = models.DateTimeField(db_default=Now(), editable=False)
    age: dt.timedelta
    """How old it was when `standby_of` read it, by the database's clock, as `since` is."""

    class Meta(TenantOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "role"], name="one_standby_a_role")]


class ProviderStandby(models.Model):
    """The same for the provider's own app while its credential is renewed: one an installation for each role."""

    role = models.CharField(primary_key=True, max_length=10, choices=StandbyRole)
    client_id = models.UUIDField()
    secret = models.ForeignKey(ProviderSecret, models.RESTRICT, related_name="+")
    certificate = models.TextField(blank=True, help_text="The public certificate in PEM form.")
    set_by = models.CharField(max_length=254)
    since = models.DateTimeField(db_default=Now(), editable=False)
    age: dt.timedelta
    """The same, when `provider_app.standby` read it."""


class SignInFlow(TenantOwned):
    """A sign-in at Microsoft that somebody began here: for one customer, one browser, one use, ten minutes.

    Kept of the state and the browser are hashes; what only a worker may read lies sealed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state_hash = models.CharField(max_length=64, unique=True)
    browser_hash = models.CharField(max_length=64)
    actor_id = models.CharField(max_length=64)
    cloud = models.CharField(max_length=10, choices=Cloud)
    app_owner = models.CharField(max_length=10, choices=AppOwner)
    client_id = models.UUIDField()
    redirect_uri = models.CharField(max_length=300)
    proof = models.ForeignKey(Secret, models.RESTRICT, null=True, related_name="+")
    code = models.ForeignKey(Secret, models.RESTRICT, null=True, related_name="+")
    began_at = models.DateTimeField(db_default=Now(), editable=False)
    used_at = models.DateTimeField(null=True, help_text="When Microsoft sent the person back.")
    granted_at = models.DateTimeField(null=True, help_text="When the tokens were kept.")

    class Meta(TenantOwned.Meta):
        indexes = [models.Index(fields=["tenant", "began_at"], name="flow_of_tenant")]
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="sign_in_flow_of_tenant")]
