"""Posts the outcome of a run to a webhook, whose address is a secret and is never logged."""

import logging
import os
from dataclasses import dataclass

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import RetryError
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from compaware.components.core.base.escaping import chat
from compaware.components.launch.site import UI_VARIABLE, WEBHOOK_VARIABLE

_TIMEOUT_S = 10.0
_MAX_REASON_CHARACTERS = 300
_RETRIES = Retry(total=4, backoff_factor=1.0, status_forcelist=(429, 500, 502, 503, 504), allowed_methods={"POST"})
_WORDS = {"CANCELED": "was stopped", "ENDED": "has ended (KFP does not tell how)"}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        run_id: The run's id.
        run_name: Its name.
        state: SUCCEEDED, FAILED, CANCELED or, if it is not known, ENDED.
        reason: Reason of a failure; empty otherwise.
    """

    run_id: str
    run_name: str
    state: str
    reason: str

    def message(self, ui: str | None) -> dict[str, str]:
        """Returns the JSON to post: `text`, which chat programs show, and the same in separate fields.

        Args:
            ui: Address of the KFP UI; without it, the text has the command that downloads the report.
        """
        link = f"{ui.rstrip('/')}/#/runs/details/{self.run_id}" if ui else ""
        reason = " ".join(self.reason.split())[:_MAX_REASON_CHARACTERS]
        words = _WORDS.get(self.state, self.state.lower())
        summary = f"{chat(self.run_name)} {words}{f': {chat(reason)}' if reason else ''}"
        return {
            "text": f"{summary}\n{link or f'compaware report {self.run_id}'}",
            "run": self.run_name,
            "run_id": self.run_id,
            "state": self.state,
            "reason": reason,
            "link": link,
        }


def post(outcome: Outcome) -> None:
    """Posts an outcome as JSON to the webhook in the environment, if it is set; logs a failure as a warning."""
    # A secret that was created from a file often ends with a newline.
    webhook = os.environ.get(WEBHOOK_VARIABLE, "").strip()
    if not webhook:
        log.info("no webhook is configured: %s is not set", WEBHOOK_VARIABLE)
        return
    # urllib3 would log the path of the address.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))
            response = session.post(
                webhook,
                json=outcome.message(os.environ.get(UI_VARIABLE)),
                timeout=_TIMEOUT_S,
                verify=os.environ.get("SSL_CERT_FILE") or True,
                allow_redirects=False,
            )
    except RetryError:
        log.warning("the webhook was not notified: it returned server errors, also when retried")
    except (OSError, HTTPError) as error:
        # Includes errors of urllib3 for an invalid host, and of missing certificate files. The error's message is not
        # logged, because it contains the address.
        log.warning("the webhook was not notified: %s (check %s)", type(error).__name__, WEBHOOK_VARIABLE)
    else:
        if response.status_code >= 300:
            log.warning(
                "the webhook was not notified: it answered %d (check %s)", response.status_code, WEBHOOK_VARIABLE
            )
        else:
            log.info("the webhook was notified: %s %s", outcome.run_name, outcome.state.lower())
