"""Names of variables, secrets and ConfigMaps for object stores; `launch` sets them and `storage` reads them."""

# KFP's secret for its own store, and the variables in which tasks and jobs get its keys. They are not AWS_*, because
# KFP's launcher, in the same container, would use those for every store whose credentials come from the environment.
KFP_SECRET = "mlpipeline-minio-artifact"
KFP_SECRET_KEYS = {"accesskey": "MINIO_ACCESS_KEY", "secretkey": "MINIO_SECRET_KEY"}
# KFP's ConfigMap with the stores that it knows, and the variable of its key.
KFP_CONFIG_MAP = "kfp-launcher"
KFP_STORES_VARIABLE = "COMPAWARE_KFP_PROVIDERS"
KFP_CONFIG_MAP_KEYS = {"providers": KFP_STORES_VARIABLE}
# The site's own mapping of stores, in the form of KFP's.
SITE_STORES_VARIABLE = "COMPAWARE_STORES"
# The stores of a task's input artifacts, from their metadata.
ARTIFACT_STORES_VARIABLE = "COMPAWARE_ARTIFACT_STORES"
# The secret that replaces KFP's in the task that starts a job: the job's `storage_secret`.
STORAGE_SECRET_VARIABLE = "COMPAWARE_STORAGE_SECRET"
# Variables with keys for `s3://`; a job also gets the keys of its own `storage_secret` in them.
AWS_KEYS = {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}
# Folder with one folder for each secret that is mounted into a job's pods.
SECRETS_FOLDER = "/etc/compaware-secrets"
