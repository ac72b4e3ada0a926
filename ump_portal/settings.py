"""Every setting, from the environment, with the reason where it is not obvious.

`ump up` sets what is needed on one machine; `.env.example` is generated from the calls below
(`ump env-example`), so that it cannot fall behind.
"""

from pathlib import Path
from urllib.parse import urlsplit

import environ

from ump_portal.transport import broker

env = environ.FileAwareEnv()  # NAME_FILE names a file that holds the value: a container's secret

BASE_DIR = Path(__file__).resolve().parent.parent
# `ump up` says where; the demo keeps to a directory of its own.
VAR_DIR = Path(env.str("UMP_STATE_DIR", default=env.str("UMP_VAR_DIR", default=str(BASE_DIR / "var"))))

VERSION = "0.1.0"

# --- What this process is ---------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
DEMO = env.bool("DEMO", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
PORTAL_BASE_URL = env.str("PORTAL_BASE_URL", default="http://localhost:8000").rstrip("/")
# Besides the name that people use, and those by which health checks ask.
ALLOWED_HOSTS = [
    *env.list("ALLOWED_HOSTS", default=[]), urlsplit(PORTAL_BASE_URL).hostname or "", "localhost", "127.0.0.1",
]  # fmt: skip
SECURE = PORTAL_BASE_URL.startswith("https://")

# --- Applications -----------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_htmx",
    "drf_spectacular",
    "lucide",
    "rest_framework",
    "audit",
    "accounts",
    "tenants",
    "events",
    "breakers",
    "replication",
    "authstatus",
    "directory",
    "domains",
    "webhooks",
    "sbc",
    "sites",
    "deployment",
    "telephony",
    "resource_accounts",
    "provisioning",
    "user_templates",
    "invitations",
    "onboarding",
    "api",
    "ump_portal",
]

MIDDLEWARE = [
    "ump_portal.middleware.LetGoMiddleware",
    "ump_portal.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "ump_portal.middleware.ClientAddressMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "ump_portal.middleware.SessionUseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "ump_portal.middleware.IdleMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "csp.middleware.CSPMiddleware",
    "ump_portal.middleware.MfaRequiredMiddleware",
    "ump_portal.middleware.ScopeMiddleware",
    "ump_portal.middleware.ErrorsMiddleware",
]

ROOT_URLCONF = "ump_portal.urls"
WSGI_APPLICATION = "ump_portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "ump_portal.templating.Templates",
        "NAME": "django",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "ump_portal.pages.navigation.shell",
            ],
        },
    },
]
# Django's default would put forms' own templates behind ours; ours win.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
INSTALLED_APPS.append("django.forms")

# --- Database ---------------------------------------------------------------------------------------------
# `default` is the application's role: it neither owns the tables nor passes row policies. `owner` migrates.
DATABASE_URL = env.str("DATABASE_URL", default="postgres:///ump")
DATABASE_OWNER_URL = env.str("DATABASE_OWNER_URL", default=DATABASE_URL)
DATABASES = {"default": env.db_url_config(DATABASE_URL), "owner": env.db_url_config(DATABASE_OWNER_URL)}
for _database in DATABASES.values():
    _database["ENGINE"] = "django.db.backends.postgresql"
    # Opening one costs as much as a cycle; after ten minutes PostgreSQL gets the memory of old plans back.
    _database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=600)
    _database["CONN_HEALTH_CHECKS"] = True
    _database.setdefault("OPTIONS", {}).update({"connect_timeout": 5})
DATABASE_ROUTERS: list[str] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Queue: the broker is only a doorbell -----------------------------------------------------------------
# With no BROKER_URL the messages are files, moved by rename; the queue itself is in the database either way.
BROKER_URL = env.str("BROKER_URL", default="")
CELERY_BROKER_URL, CELERY_TRANSPORT_OPTIONS = (
    (
        BROKER_URL,
        {
            "visibility_timeout": 300,
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 15,
            "unacked_restore_throttle": 1,
            # Kombu's defaults let a person wait six seconds for a broker that is away; the sweeper rings later.
            "max_retries": 1,
            "interval_start": 0,
        },
    )
    if BROKER_URL
    else broker(VAR_DIR / "broker")
)
BEAT_FILE = str(VAR_DIR / "beat")
SWEEP_SECONDS = env.float("SWEEP_SECONDS", default=5.0)
WORKER_THREADS = env.int("WORKER_THREADS", default=32)
# Which lanes of commands a worker serves; what needs PowerShell only those that have it, which serve nothing else.
WORKER_LANES = env.list("WORKER_LANES", default=["data", "identity", "provider", "device"])
COMMAND_LEASE_SECONDS = env.int("COMMAND_LEASE_SECONDS", default=30)
# Whoever holds a transaction open for longer without a word is frozen or cut off, and its locks hold others up.
DATABASES["default"]["OPTIONS"].setdefault(
    "options", f"-c idle_in_transaction_session_timeout={COMMAND_LEASE_SECONDS}s"
)
COMMAND_SLICE_SECONDS = env.float("COMMAND_SLICE_SECONDS", default=5.0)
COMMAND_RETENTION_DAYS = env.int("COMMAND_RETENTION_DAYS", default=30)
# Of those the portal began by itself, when nothing had changed.
QUIET_RETENTION_DAYS = env.int("QUIET_RETENTION_DAYS", default=2)
# How often the portal asks each SBC how it fares.
SBC_CHECK_SECONDS = env.int("SBC_CHECK_SECONDS", default=60 if DEMO else 300)
QUICK_REPLICATION_CYCLE_DELAY = env.int("QUICK_REPLICATION_CYCLE_DELAY", default=300)
QUICK_REPLICATION_LONGEST_WAIT = env.int("QUICK_REPLICATION_LONGEST_WAIT", default=1800)
# The demo looks every minute, so that a change made at the simulator is seen while one watches.
REPLICATION_CYCLE_SECONDS = env.int("REPLICATION_CYCLE_SECONDS", default=60 if DEMO else 300)
# A write whose reply was lost is read back, and sent again only after this long: all under way has arrived then.
WRITE_SETTLE_SECONDS = env.int("WRITE_SETTLE_SECONDS", default=35)
# How long a write that Microsoft accepted may take to show there, before the portal says so and goes on.
WRITE_SHOWN_SECONDS = env.int("WRITE_SHOWN_SECONDS", default=180)
# Microsoft has no delta for telephony: a quick replication takes it along no more often than this.
TEAMS_READ_SECONDS = env.int("TEAMS_READ_SECONDS", default=300 if DEMO else 900)
# How often the numbers of Operator Connect customers are read, whose status changes without anybody's doing.
NUMBER_REFRESH_SECONDS = env.int("NUMBER_REFRESH_SECONDS", default=300)
# So long a number that was in use cools before it counts as free.
NUMBER_COOLING_DAYS = env.int("NUMBER_COOLING_DAYS", default=30)
# How long after a change of the credential a missing permission may be Microsoft's own delay (facts 2.3).
CONSENT_PROPAGATION_SECONDS = env.int("CONSENT_PROPAGATION_SECONDS", default=20 if DEMO else 300)
# How long Microsoft may take until a new client secret works, and how long the old one stays beside it.
SECRET_PROPAGATION_SECONDS = env.int("SECRET_PROPAGATION_SECONDS", default=900)
SECRET_OVERLAP_SECONDS = env.int("SECRET_OVERLAP_SECONDS", default=20 if DEMO else 300)
PROOF_READ_HOURS = env.int("PROOF_READ_HOURS", default=24)
# A full read that would remove more than this share of a copy, and more than this many, waits for a person.
REMOVAL_SHARE = env.float("REMOVAL_SHARE", default=0.2)
REMOVAL_FLOOR = env.int("REMOVAL_FLOOR", default=50)
# So many customers, and a fifth of all, must fail alike before it is nobody's own fault (docs/decisions).
BREAKER_LEAST_CUSTOMERS = env.int("BREAKER_LEAST_CUSTOMERS", default=5)

# Networks that are not the internet and may be called all the same, where people name the host (webhooks).
OUTBOUND_ALLOWED_NETWORKS = env.list(
    "OUTBOUND_ALLOWED_NETWORKS", default=["169.254.0.1/32", "169.254.4.0/24"]
)

# What Microsoft shows of this machine to a person who enters a device code: its country and public address.
OUTBOUND_COUNTRY = env.str("OUTBOUND_COUNTRY", default="Iceland" if DEMO else "")
OUTBOUND_ADDRESS = env.str("OUTBOUND_ADDRESS", default="")

# --- Microsoft 365 ----------------------------------------------------------------------------------------
M365_GATEWAY_URL = env.str("M365_GATEWAY_URL", default="")
M365_CA_BUNDLE = env.str("M365_CA_BUNDLE", default="")

# --- Teams PowerShell (docs/running.md) -------------------------------------------------------------------
# The program, on workers that have one; empty: what only PowerShell can do in Teams is a script for a person.
POWERSHELL_PATH = env.str("POWERSHELL_PATH", default="")
POWERSHELL_TEAMS_MODULE = env.str("POWERSHELL_TEAMS_MODULE", default="MicrosoftTeams")
POWERSHELL_START_SECONDS = env.float("POWERSHELL_START_SECONDS", default=120.0)
POWERSHELL_CALL_SECONDS = env.float("POWERSHELL_CALL_SECONDS", default=90.0)
POWERSHELL_HEAP_MB = env.int("POWERSHELL_HEAP_MB", default=768)

# --- Keys -------------------------------------------------------------------------------------------------
KEK_FILE = env.str("UMP_KEK_FILE", default="")
KEK_PUBLIC_FILE = env.str("UMP_KEK_PUBLIC_FILE", default="")
WEB_KEY_FILE = env.str("UMP_WEB_KEY_FILE", default="")

# --- People -----------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.Backend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": env.int("PASSWORD_MIN_LENGTH", default=15)},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
MFA_REQUIRED = env.bool("MFA_REQUIRED", default=False)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # people are added by an administrator, who knows the address
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.links.LinkTokens"  # noqa: S105  a class
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
ACCOUNT_RATE_LIMITS = {"login_failed": env.str("LOGIN_FAILED_RATE", default="10/m/ip,5/5m/key")}
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
MFA_ADAPTER = "accounts.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_PASSKEY_SIGNUP_ENABLED = False
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE
MFA_TOTP_ISSUER = env.str("PORTAL_NAME", default="UMP Portal")
BRAND_NAME = MFA_TOTP_ISSUER
PROVIDER_NAME = env.str("PROVIDER_NAME", default="Your provider")

# --- Addresses --------------------------------------------------------------------------------------------
API_ALLOWED_IPS = env.list(
    "API_ALLOWED_IPS", default=["169.254.0.1", "127.0.0.1", "::1"] if DEMO else ["169.254.0.1"]
)
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)

# --- Licences ---------------------------------------------------------------------------------------------
LICENSE_USERS = env.int("LICENSE_USERS", default=10_000)
LICENSE_CUSTOMERS = env.int("LICENSE_CUSTOMERS", default=500)

# --- Sessions, headers, cookies ---------------------------------------------------------------------------
SESSION_COOKIE_NAME = "__Host-ump" if SECURE else "ump"
CSRF_COOKIE_NAME = "__Host-ump-csrf" if SECURE else "ump-csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_AGE = 12 * 3600  # from the sign-in
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_TRUSTED_ORIGINS = [PORTAL_BASE_URL]
SECURE_SSL_REDIRECT = SECURE and env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # asked past the proxy, without TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "manifest-src": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    },
}

# --- Static files, language, time -------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": env.str(
            "STATICFILES_BACKEND", default="django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = True
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- Mail -------------------------------------------------------------------------------------------------
EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_ALLOW_PLAIN = env.bool("EMAIL_ALLOW_PLAIN", default=False)  # a relay elsewhere that knows no TLS
if EMAIL_URL:
    vars().update(env.email_url_config(EMAIL_URL))
    if EMAIL_URL.startswith("smtps:"):  # TLS from the first byte, as RFC 8314 and everybody else have it
        EMAIL_USE_TLS, EMAIL_USE_SSL = False, True
    if EMAIL_URL.startswith("smtp"):
        EMAIL_BACKEND = "accounts.delivery.Smtp"
else:  # not the console: the links in mails work, and would stand in the log
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="UMP Portal <portal@localhost>")

# --- Cache: only rate limits live there, so the database serves; losing it costs a count ------------------
# Above MAX_ENTRIES (300 by default) Django deletes a third, living ones too: whoever makes that many would begin
# to count anew. Those whose time is over are deleted by accounts.limits.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "ump_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- API --------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.authentication.BearerToken"],
    "DEFAULT_PERMISSION_CLASSES": ["api.permissions.Door"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "api.pagination.Cursor",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "EXCEPTION_HANDLER": "api.problems.handler",
    "PAGE_SIZE": 50,
    "NUM_PROXIES": TRUSTED_PROXY_COUNT,
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "UMP Portal API",
    "DESCRIPTION": "Manage customers, their connections to Microsoft 365, and the replication queue.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    # Words that occur under several names get one name in the schema.
    "ENUM_NAME_OVERRIDES": {
        "AbilityEnum": "api.choices.ABILITIES",
        "RoleEnum": "api.choices.ROLES",
        "TokenStateEnum": "api.choices.TOKEN_STATES",
        "CommandStateEnum": "replication.models.State",
        "FindingStateEnum": "authstatus.models.FindingState",
        "HoldStateEnum": "telephony.models.HoldKind",
        "InvitationWayEnum": "invitations.models.Way",
        "NumberTypeEnum": "telephony.models.NumberKind",
        "ChangeStateEnum": "provisioning.models.ChangeState",
        "OnboardingWayEnum": "onboarding.models.Way",
        "PlanActEnum": "provisioning.models.Act",
        "PlanLineStateEnum": "provisioning.models.LineState",
        "PlanStateEnum": "provisioning.models.PlanState",
        "ScriptPurposeEnum": "sites.models.Purpose",
        "SiteStateEnum": "api.sites.STATES",
        "DesignTypeEnum": "resource_accounts.models.Kind",
        "DeployActEnum": "deployment.models.Act",
        "DeployRunStateEnum": "deployment.models.RunState",
    },
}
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=600)

# --- Logs: fields, not sentences; the redactor in core.http sees every line -------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "ump_portal.logs.RedactingFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "msal": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        # Celery names each ring of the doorbell; what people want to know is in the queue itself.
        "celery": {"level": "WARNING"},
    },
}
# auth.W004: the address is unique, by an index on its lower-case form.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
