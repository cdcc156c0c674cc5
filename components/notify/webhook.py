"""A webhook that is told how a run ended; its address is a secret, so nothing here shows it."""

import logging
import os
from dataclasses import dataclass

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException, RetryError
from urllib3.util import Retry

from compaware.components.core.base.escaping import chat
from compaware.components.launch.site import UI_VARIABLE, WEBHOOK_VARIABLE

_TIMEOUT_S = 10.0
_LONGEST_REASON = 300
_RETRIES = Retry(total=4, backoff_factor=1.0, status_forcelist=(429, 500, 502, 503, 504), allowed_methods={"POST"})
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        run_id: The run's id.
        run_name: Its name.
        state: KFP's word, such as SUCCEEDED.
        reason: Why it failed; empty otherwise.
    """

    run_id: str
    run_name: str
    state: str
    reason: str

    def message(self, ui: str | None) -> dict[str, str]:
        """What is posted: `text`, which chat programs show, and the same in fields for programs.

        Args:
            ui: Address of the KFP UI; without it, the text says how to fetch the report.
        """
        link = f"{ui.rstrip('/')}/#/runs/details/{self.run_id}" if ui else ""
        reason = " ".join(self.reason.split())[:_LONGEST_REASON]
        ended = f"{chat(self.run_name)} {self.state.lower()}{f': {chat(reason)}' if reason else ''}"
        return {
            "text": f"{ended}\n{link or f'compaware report {self.run_id}'}",
            "run": self.run_name,
            "run_id": self.run_id,
            "state": self.state,
            "reason": reason,
            "link": link,
        }


def post(ending: Ending) -> None:
    """Posts an ending as JSON to the webhook of the environment, if there is one; a failure is a warning."""
    webhook = os.environ.get(WEBHOOK_VARIABLE)
    if not webhook:
        log.info("no webhook is configured: %s is not set", WEBHOOK_VARIABLE)
        return
    # It would write the address's path into its own lines.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
            answer = session.post(
                webhook,
                json=ending.message(os.environ.get(UI_VARIABLE)),
                timeout=_TIMEOUT_S,
                verify=os.environ.get("SSL_CERT_FILE") or True,
                allow_redirects=False,
            )
    except RetryError:
        log.warning("the webhook was not told: it has trouble of its own, and still had when asked again")
    except RequestException as error:
        # Not the error's own words: they hold the address.
        log.warning("the webhook was not told: %s (check %s)", type(error).__name__, WEBHOOK_VARIABLE)
    else:
        if answer.status_code >= 300:
            log.warning("the webhook was not told: it answered %d (check %s)", answer.status_code, WEBHOOK_VARIABLE)
        else:
            log.info("the webhook was told: %s %s", ending.run_name, ending.state.lower())
