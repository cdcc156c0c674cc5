"""What a site sets once in a namespace, for KFP's tasks and their jobs' pods alike; each of these may be missing."""

# A ConfigMap of variables, by their own names: where the hub, the proxies, the registry and the object store are.
CONFIG_MAP = "compaware-site"
VARIABLES = (
    "AWS_REGION",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "MODEL_REGISTRY_URL",
    "NO_PROXY",
    "S3_ENDPOINT",
    "SSL_CERT_FILE",
)
# A secret that opens the hub, and the variable that its key becomes.
HUB_SECRET = "compaware-hub"
HUB_KEYS = {"token": "HF_TOKEN"}
# A ConfigMap of certificates, and the folder that its keys are files of; SSL_CERT_FILE names one.
CA_CONFIG_MAP = "compaware-ca"
CA_FOLDER = "/etc/compaware"
# A secret that holds the webhook which is told how a run ended, and the variable that its key becomes.
WEBHOOK_SECRET = "compaware-webhook"
WEBHOOK_VARIABLE = "COMPAWARE_WEBHOOK_URL"
WEBHOOK_KEYS = {"url": WEBHOOK_VARIABLE}
# KFP's own name for the address that people see its UI at: a further key of the ConfigMap, for that task alone.
UI_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"
