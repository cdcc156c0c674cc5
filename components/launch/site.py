"""Names of the site's settings in a namespace, for KFP tasks and the pods of their jobs; all of them are optional."""

from compaware.components.core.base.store_names import SITE_STORES_VARIABLE

# ConfigMap of environment variables: addresses of the hub, the proxies, the registry and the object store.
CONFIG_MAP = "compaware-site"
VARIABLES = (
    "AWS_REGION",
    SITE_STORES_VARIABLE,
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "MINIO_ENDPOINT",
    "MODEL_REGISTRY_URL",
    "NO_PROXY",
    "S3_ENDPOINT",
    "SSL_CERT_FILE",
)
# Secret with the hub token, and the variable of its key.
HUB_SECRET = "compaware-hub"
HUB_KEYS = {"token": "HF_TOKEN"}
# Secret with the bearer token of the Model Registry, which only publish reads, and the variable of its key.
REGISTRY_SECRET = "compaware-registry"
REGISTRY_KEYS = {"token": "MODEL_REGISTRY_TOKEN"}
# ConfigMap of certificates, and the folder where its keys are mounted as files; SSL_CERT_FILE names one of them.
CA_CONFIG_MAP = "compaware-ca"
CA_FOLDER = "/etc/compaware"
# Secret with the URL of the webhook for finished runs, and the variable of its key.
WEBHOOK_SECRET = "compaware-webhook"
WEBHOOK_VARIABLE = "COMPAWARE_WEBHOOK_URL"
WEBHOOK_KEYS = {"url": WEBHOOK_VARIABLE}
# Public address of the KFP UI (KFP's name for it); another key of the ConfigMap, used only by the notify task.
UI_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"
# What the site sets for pods, as JSON of `SiteSettings`; compiled into the tasks that start jobs.
SETTINGS_VARIABLE = "COMPAWARE_SITE_SETTINGS"
