"""Settings. Everything an operator changes comes from the environment; the defaults run on one machine."""

import os
import socket
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange, Queue

from config import env

BASE_DIR = Path(__file__).resolve().parents[2]
DATA_DIR = env.folder("LUTHIER_DATA", BASE_DIR / "var")
WORK_DIR = DATA_DIR / "work"
CACHE_DIR = DATA_DIR / "cache"
MODELS_DIR = env.folder("LUTHIER_MODELS", DATA_DIR / "models")
DEPLOY_DIR = env.folder("LUTHIER_DEPLOYMENTS", DATA_DIR / "deployments")

DEBUG = env.flag("DEBUG", False)
DEFAULT_SECRET_KEY = "insecure-key-for-development-only-never-in-production"
SECRET_KEY = env.secret_key(DATA_DIR, DEFAULT_SECRET_KEY)
if SECRET_KEY == DEFAULT_SECRET_KEY and not DEBUG:
    raise ImproperlyConfigured("Set SECRET_KEY to a long random string, or DEBUG=1 on a machine that only you use.")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "projects.apps.ProjectsConfig",
    "datasets_app.apps.DatasetsConfig",
    "training.apps.TrainingConfig",
    "evaluation.apps.EvaluationConfig",
    "deployments.apps.DeploymentsConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.SecurityHeadersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

DATABASES = {"default": env.database(f"sqlite:///{DATA_DIR / 'luthier.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STORAGES = {
    "default": env.storage(DATA_DIR / "files"),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG

# People
AUTH_USER_MODEL = "projects.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "project-list"
LOGOUT_REDIRECT_URL = "sign-in"
# Who pays, as exports of the ledger name it.
ORGANISATION = env.text("LUTHIER_ORGANISATION", "Luthier")
SIGN_UP_OPEN = env.flag("LUTHIER_SIGN_UP", False)

# What is told to others: webhooks and e-mail. Only workers send.
BASE_URL = env.text("LUTHIER_URL", f"http://{env.text('LUTHIER_ADDRESS', '127.0.0.1:8000')}")  # as people reach it
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS", [])
# Hosts, or host:port, that webhooks may go to although they are not public.
WEBHOOK_HOSTS = env.words("LUTHIER_WEBHOOK_HOSTS", [])
WEBHOOK_CONNECT_SECONDS = env.seconds("LUTHIER_WEBHOOK_CONNECT_SECONDS", 5)
WEBHOOK_SECONDS = env.seconds("LUTHIER_WEBHOOK_SECONDS", 15)  # for all of it, from the first look-up
SENDERS = env.number("LUTHIER_SENDERS", 8)  # at a time on one host
SEND_LEASE_SECONDS = env.seconds("LUTHIER_SEND_LEASE_SECONDS", 60)
EVENTS_KEPT_DAYS = env.number("LUTHIER_EVENTS_KEPT_DAYS", 30)
EMAIL = env.email("console://")
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = EMAIL["BACKEND"], EMAIL["HOST"], EMAIL["PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL["USER"], EMAIL["PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL, EMAIL_FILE_PATH = EMAIL["TLS"], EMAIL["SSL"], EMAIL["FOLDER"]
EMAIL_TIMEOUT = env.seconds("LUTHIER_EMAIL_SECONDS", 20)
DEFAULT_FROM_EMAIL = env.text("LUTHIER_FROM", "Luthier <luthier@localhost>")
# What happens within so many seconds is told in one letter, and the next letter about the project waits a while.
MAIL_GROUP_SECONDS = env.seconds("LUTHIER_MAIL_GROUP_SECONDS", 30)
MAIL_PAUSE_SECONDS = env.seconds("LUTHIER_MAIL_PAUSE_SECONDS", 300)

# Sessions and transport
HTTPS = env.flag("LUTHIER_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("LUTHIER_BEHIND_PROXY", False) else None
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Uploads go to disk while they arrive; nothing is parsed in the web process.
MAX_UPLOAD_BYTES = env.number("LUTHIER_MAX_UPLOAD_BYTES", 4 * 1024**3)
UPLOAD_PART_BYTES = env.number("LUTHIER_UPLOAD_PART_BYTES", 8 * 1024**2)
UPLOAD_KEPT_SECONDS = env.number("LUTHIER_UPLOAD_KEPT_SECONDS", 7 * 86_400)  # of an unfinished upload nobody touches
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_TEMP_DIR = None
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# Background work
BROKER_SOCKET = env.broker_socket(DATA_DIR)
BROKER = env.broker(f"redis+socket://{BROKER_SOCKET}?virtual_host=0")
CELERY_BROKER_URL = BROKER.url
CELERY_BROKER_TRANSPORT_OPTIONS = BROKER.options
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "cpu"
CELERY_TASK_TIME_LIMIT = 120
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
if BROKER.is_amqp:
    # Quorum queues survive the loss of a node, and with confirms no message that was accepted is lost.
    CELERY_TASK_QUEUES = [
        Queue(name, Exchange("luthier", type="topic"), name, queue_arguments={"x-queue-type": "quorum"})
        for name in ("cpu", "gpu")
    ]
RECONCILE_SECONDS = env.seconds("LUTHIER_RECONCILE_SECONDS", 15)
CELERY_BEAT_SCHEDULE = {
    "reconcile": {
        "task": "projects.reconcile",
        "schedule": RECONCILE_SECONDS,
        "options": {"queue": "cpu", "expires": 60},
    },
    "check_invariants": {
        "task": "projects.check_invariants",
        "schedule": env.seconds("LUTHIER_INVARIANTS_SECONDS", 300),
        "options": {"queue": "cpu", "expires": 60},
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat.db")
SEND_WAKE_UPS = True
SUPERVISE_INLINE = False
WORKER_HOST = env.text("LUTHIER_HOST", "") or socket.gethostname()
# On a host with cards the second is per card.
SLOTS = {"cpu": env.number("LUTHIER_CPU_SLOTS", 2), "gpu": env.number("LUTHIER_GPU_SLOTS", 1)}
NVIDIA_SMI = env.text("LUTHIER_NVIDIA_SMI", "nvidia-smi")
LEASE_SECONDS = env.seconds("LUTHIER_LEASE_SECONDS", 60)
HEARTBEAT_SECONDS = env.seconds("LUTHIER_HEARTBEAT_SECONDS", 10)
CANCEL_POLL_SECONDS = env.seconds("LUTHIER_CANCEL_POLL_SECONDS", 2)
# What is stopped may save for so long. A host that gives less than the least is a host where work gets lost.
STOP_GRACE_SECONDS = env.seconds("LUTHIER_STOP_GRACE_SECONDS", 12)
MIN_STOP_GRACE_SECONDS = env.seconds("LUTHIER_MIN_STOP_GRACE_SECONDS", 5)
STALL_SECONDS = env.seconds("LUTHIER_STALL_SECONDS", 1800)  # a training process may be silent for so long
# How often a worker process says that it lives and looks for work by itself, and how it notices that it hears nothing.
WORKER_BEAT_SECONDS = env.seconds("LUTHIER_WORKER_BEAT_SECONDS", 10)
CANARY_SECONDS = env.seconds("LUTHIER_CANARY_SECONDS", 30)
CANARY_LIMIT_SECONDS = env.seconds("LUTHIER_CANARY_LIMIT_SECONDS", 120)
# What the broker is set to; RabbitMQ's own default is half an hour. Only compared with our limits, never sent.
CONSUMER_TIMEOUT_SECONDS = env.seconds("LUTHIER_CONSUMER_TIMEOUT_SECONDS", 1800)
MAX_LOSSES = env.number("LUTHIER_MAX_LOSSES", 3)  # workers lost in one attempt until a person has to look
# The most that a rehearsal may take, in bytes; 0: what the card or the machine has.
REHEARSAL_MEMORY_BYTES = env.number("LUTHIER_REHEARSAL_MEMORY_BYTES", 0)
WAKE_AGAIN_SECONDS = env.seconds("LUTHIER_WAKE_AGAIN_SECONDS", 30)
ENGINES = {
    "datasets.engine": [sys.executable, "-m", "datasets_app.engine"],
    "training.base": [sys.executable, "-m", "training.engine.fingerprint"],
    "training.base_check": [sys.executable, "-m", "training.engine.fingerprint"],
    "training.tokens": [sys.executable, "-m", "training.engine.tokens"],
    "training.seen": [sys.executable, "-m", "training.engine.seen"],
    "training.adapter_import": [sys.executable, "-m", "training.engine.adapter_import"],
    "training.run": [sys.executable, "-m", "training.engine"],
    "training.rehearsal": [sys.executable, "-m", "training.engine.rehearsal"],
    "training.derived": [sys.executable, "-m", "training.engine.deriving"],
    "evaluation.evaluation": [sys.executable, "-m", "evaluation.engine"],
    "evaluation.probe": [sys.executable, "-m", "evaluation.engine.drifting"],
    "evaluation.equivalence": [sys.executable, "-m", "evaluation.engine.equating"],
    "deployments.deployment": [sys.executable, "-m", "deployments.engine"],
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "projects.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["projects.api.permissions.ServicePermission"],
    "DEFAULT_PARSER_CLASSES": [
        "projects.api.parsers.StrictJSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "projects.api.pagination.Cursor",
    "DEFAULT_SCHEMA_CLASS": "projects.api.schema.Schema",
    "EXCEPTION_HANDLER": "projects.api.errors.handle",
    "NUM_PROXIES": 0,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Luthier",
    "DESCRIPTION": "Fine-tuned adapters with money, evidence and approval.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "projects.api.hooks.describe_webhooks",
    ],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "JobStateEnum": "projects.models.jobs.STATES",
        "RequestStateEnum": "deployments.models.REQUEST_STATES",
        "DeliveryStateEnum": "projects.models.events.SEND_STATES",
        "WebhookStateEnum": "projects.models.events.ENDPOINT_STATES",
        "CauseEnum": "projects.models.ledger.CAUSES",
        "WithdrawalCauseEnum": "projects.models.lineage.CAUSES",
        "NewWithdrawalCauseEnum": "projects.api.withdrawals.SAID",
        "RunMethodEnum": "training.models.METHODS",
        "DialectEnum": "training.api.specs.TOOLS",
        "DerivedKindEnum": "training.domain.derived.KINDS",
        "EquivalenceJudgementEnum": "evaluation.domain.equivalence.JUDGEMENTS",
        "CompatibilityEnum": "training.domain.compatibility.VERDICTS",
        "UpgradeOutcomeEnum": "deployments.domain.upgrades.OUTCOMES",
        "UpgradeStepEnum": "deployments.domain.upgrades.STEPS",
        "RowVerdictEnum": "datasets_app.api.serializers.review.VERDICTS",
        "RulingVerdictEnum": "datasets_app.api.serializers.review.RULINGS",
    },
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}
