"""Connections with the proxies and the certificates that the environment names."""

import os
from pathlib import Path
from typing import Any

import urllib3
from requests.utils import get_auth_from_url, get_environ_proxies, prepend_scheme_if_needed, select_proxy
from urllib3.exceptions import ProxySchemeUnknown

from compaware.components.core.base.errors import UserError

CA_FILE_VARIABLES = ("COMPAWARE_CA_FILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE")


def ca_file() -> Path | None:
    """Returns the file of certificates to trust; None for the default ones.

    Raises:
        UserError: The file does not exist.
    """
    name = next(filter(None, map(os.environ.get, CA_FILE_VARIABLES)), None)
    if name and not Path(name).is_file():
        raise UserError(f"there is no certificate file {name}: correct {' or '.join(CA_FILE_VARIABLES)}")
    return Path(name) if name else None


class ProxyPool(urllib3.PoolManager):
    """Sends each request through HTTPS_PROXY or HTTP_PROXY, or directly if NO_PROXY has its host.

    The choice is made for each request, because a bucket or a region can be a part of the host. NO_PROXY may contain
    names, suffixes such as `.svc`, addresses and ranges of IPv4 addresses.
    """

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._settings = settings
        self._proxied: dict[str, urllib3.ProxyManager] = {}

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> Any:  # type: ignore[override]
        """Sends a request."""
        proxy = select_proxy(url, get_environ_proxies(url))
        if not proxy:
            return super().urlopen(method, url, redirect, **options)
        return self._through(proxy).urlopen(method, url, redirect=redirect, **options)

    def _through(self, proxy: str) -> urllib3.ProxyManager:
        if proxy not in self._proxied:
            address = prepend_scheme_if_needed(proxy, "http")
            user, password = get_auth_from_url(address)
            headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
            try:
                self._proxied[proxy] = urllib3.ProxyManager(address, proxy_headers=headers, **self._settings)
            except (ProxySchemeUnknown, ValueError) as error:
                # The value is not shown, because it may contain a password.
                raise UserError("HTTPS_PROXY or HTTP_PROXY is not a proxy's address: write http://HOST:PORT") from error
        return self._proxied[proxy]
