"""What clouds answer when something is wrong, as our errors; and which of it is worth another try.

Three questions are asked of every error of the SDK, always by its type and status, never by its text: may the same
request be sent again, did somebody else make the object first, and what does a person have to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from orchestrator.errors import CredentialRefused, InvalidInput, Refused, TricenterError, Unreachable

T = TypeVar("T")

#: For how long a request is tried again. Longer than a service takes to restart, shorter than a person's patience.
RETRY_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 8.0

BUSY_STATUSES = frozenset({429, 500, 502, 503, 504})

#: Where Keystone is asked for a token.
LOGIN_PATH = "/auth/tokens"

#: No answer, or none that tells the service's version: what the SDK raises for a service that is down.
NO_ANSWER = (
    keystone_errors.ConnectionError,
    keystone_errors.DiscoveryFailure,
    sdk_errors.ServiceDiscoveryException,
    sdk_errors.NotSupported,
)
SDK_ERRORS = (sdk_errors.SDKException, keystone_errors.ClientException)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status behind an error of the SDK, None when there was no answer."""
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    return status if isinstance(status, int) else None


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may succeed a little later: no answer, too many requests, a service restarting."""
    if isinstance(error, keystone_errors.SSLError):
        return False
    return isinstance(error, NO_ANSWER) or status_of(error) in BUSY_STATUSES or is_token_refused(error)


def is_token_refused(error: BaseException) -> bool:
    """Tell whether a service refused a token, which is no login refused: the next request brings a fresh one.

    The SDK does that once by itself; a token that expires, and a service that cannot ask Keystone, are worth more.
    """
    url = getattr(error, "url", None)
    return status_of(error) == 401 and isinstance(url, str) and not url.endswith(LOGIN_PATH)


def is_conflict(error: BaseException) -> bool:
    """Tell whether the answer was 409: the object is there already, or is in use, or a quota is used up."""
    return status_of(error) == 409


def repeat(act: Callable[[], T], *, deadline_seconds: float = RETRY_SECONDS) -> T:
    """Do `act`, which may be repeated without harm, until it is answered or the deadline has passed."""
    return _retrying(is_transient, deadline_seconds)(act)


def read(ask: Callable[[], T], *, deadline_seconds: float = RETRY_SECONDS) -> T:
    """Ask for something until it is answered or the deadline has passed.

    What only reads can be in conflict with nothing: a 409 passes, as when a service's own transactions met.
    """
    return _retrying(lambda error: is_transient(error) or is_conflict(error), deadline_seconds)(ask)


def create_once(create: Callable[[], T], find: Callable[[], T | None], *, deadline_seconds: float = RETRY_SECONDS) -> T:
    """Create one object and return it, and never two.

    An answer that was lost does not tell whether the object was made, and 409 may mean that another made it. So
    after either, `find` looks for it before anything is tried again. A 409 of an object that is still not there is
    raised: it is a quota or a true conflict.
    """
    tried = False

    def attempt() -> T:
        nonlocal tried
        if tried and (found := find()) is not None:
            return found
        tried = True
        try:
            return create()
        except SDK_ERRORS as error:
            if is_conflict(error) and (found := find()) is not None:
                return found
            raise

    return _retrying(is_transient, deadline_seconds)(attempt)


def _retrying(worth: Callable[[BaseException], bool], deadline_seconds: float) -> Retrying:
    return Retrying(
        retry=retry_if_exception(worth),
        wait=wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_SECONDS),
        stop=stop_after_delay(deadline_seconds),
        reraise=True,
    )


@contextmanager
def explained(cloud: str, what: str = "") -> Iterator[None]:
    """Turn every error of the SDK that leaves the block into one of ours, naming the cloud and what was being done."""
    try:
        yield
    except SDK_ERRORS as error:
        raise explain(cloud, error, what) from error


def explain(cloud: str, error: BaseException, what: str = "") -> TricenterError:
    """Return our error for one of the SDK. It holds what the service said, and no secret."""
    doing = f" while trying to {what}" if what else ""
    status = status_of(error)
    if is_token_refused(error):
        return CredentialRefused(
            f"cloud {cloud!r}: a service refuses the tokens that Keystone gives{doing}",
            hint="does that service reach Keystone, and are their clocks right?",
        )
    if status == 401:
        return CredentialRefused(
            f"cloud {cloud!r} refused the login{doing}",
            hint="check the user and password of this entry in clouds.yaml",
        )
    if status == 403:
        return CredentialRefused(
            f"cloud {cloud!r} does not allow this{doing}: {_said(error)}",
            hint="the user of this entry in clouds.yaml needs the role admin",
        )
    if isinstance(error, keystone_errors.SSLError):
        return InvalidInput(
            f"cloud {cloud!r}: the certificate of its server is not trusted{doing}",
            hint="name the city's CA as `cacert` in clouds.yaml",
        )
    if isinstance(error, sdk_errors.EndpointNotFound | keystone_errors.CatalogException):
        return InvalidInput(
            f"cloud {cloud!r} has no such service in this region{doing}: {_said(error)}",
            hint="check `region_name` and `interface` of this entry in clouds.yaml",
        )
    if is_transient(error):
        return Unreachable(
            f"cloud {cloud!r} does not answer{doing}: {_said(error)}",
            hint="is the centre up? for the lab: tricenter lab status",
        )
    if isinstance(error, sdk_errors.ConfigException | keystone_errors.AuthPluginException):
        return InvalidInput(f"cloud {cloud!r}: {_said(error)}", hint="look at this entry in clouds.yaml")
    return Refused(
        f"cloud {cloud!r} refused{doing}: {_said(error)}", hint="change what the service complains about, and try again"
    )


def _said(error: BaseException) -> str:
    details = getattr(error, "details", None)
    return " ".join(str(details or error).split())
