"""Names in the DNS: pointed to where a system is active now, by a dynamic update (RFC 2136) signed with a TSIG key.

An update holds only if the name still has the address that it was seen to have: of two who switch it one wins, and
the other is told. It counts when the server answers the new address, not when it took the update.
"""

from __future__ import annotations

import base64
import binascii
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update

from orchestrator.errors import CheckFailed, CredentialRefused, InvalidInput, Refused, TricenterError, Unreachable
from orchestrator.secrets import Secret
from policies.site import Dns

ANSWER_SECONDS = 5.0
DEADLINE_SECONDS = 30.0
POLL_SECONDS = 0.2
TRIES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name has now: its addresses in order, and how long they may be kept. No address: there is no such name."""

    addresses: tuple[str, ...]
    ttl: int


@dataclass(frozen=True, slots=True)
class Switched:
    """A name that was switched, or had its address already. `was` is what it had: the undo needs it."""

    name: str
    was: tuple[str, ...]
    was_ttl: int
    now: tuple[str, ...]
    ttl: int
    changed: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class NameServer:
    """The primary server of a zone, and the key that may change it."""

    host: str
    port: int
    zone: str
    key: str
    algorithm: str
    secret: Secret

    @classmethod
    def of(cls, settings: Dns, secret: Secret) -> NameServer:
        return cls(settings.server, settings.port, settings.zone, settings.key, settings.algorithm, secret)

    def __str__(self) -> str:
        return f"name server {self.host}:{self.port}"

    def check(self) -> None:
        """Raise unless the server answers for the zone and knows our key. Changes nothing."""
        nothing = self._update()
        nothing.absent(f"tricenter-check-{int(time.time())}")
        self._send(nothing)

    def look_up(self, name: str) -> Answer:
        """Return what a name of the zone has at the server. Raises InvalidInput for a name of another kind."""
        full = self._full(name)
        query = dns.message.make_query(full, dns.rdatatype.A)
        query.flags &= ~dns.flags.RD
        answer = self._ask(query)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise self._refusal(answer.rcode(), f"asked for {full}")
        if not answer.flags & dns.flags.AA:
            raise InvalidInput(f"{self} does not answer for {full}", hint=f"is it the primary of {self.zone}?")
        for rrset in answer.answer:
            if rrset.rdtype == dns.rdatatype.CNAME and rrset.name == full:
                raise InvalidInput(f"{full} is an alias of {rrset[0].target}", hint="name the target in the plan")
            if rrset.rdtype == dns.rdatatype.A and rrset.name == full:
                return Answer(tuple(sorted(str(each) for each in rrset)), int(rrset.ttl))
        return Answer((), 0)

    def switch(
        self,
        name: str,
        to: Iterable[str],
        *,
        ttl: int,
        expected: Iterable[str] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> Switched:
        """Let a name have the addresses `to` and return when the server answers them. May be repeated.

        With `expected`, only if it has these now, or none at all where that is empty; a name that an earlier attempt
        has switched already had them. Raises Refused when it has others, or the key may not; CredentialRefused,
        Unreachable.
        """
        begin, target = time.monotonic(), tuple(sorted(to))
        want = None if expected is None else tuple(sorted(expected))
        for _ in range(TRIES):
            now = self.look_up(name)
            if now.addresses == target:
                was = now.addresses if want is None else want
                return Switched(name, was, now.ttl, target, now.ttl, changed=False, seconds=_since(begin))
            if want is not None and now.addresses != want:
                raise Refused(
                    f"{name} points to {_shown(now.addresses)}, and {_shown(want)} was expected",
                    hint="somebody else has switched it; look who, then correct the plan's names or the record",
                )
            if self._replace(name, now.addresses, target, ttl):
                self._await(name, target, begin + deadline_seconds)
                return Switched(name, now.addresses, now.ttl, target, ttl, changed=True, seconds=_since(begin))
        raise Refused(f"{name} is changed by somebody else all the time", hint="look at the log of the name server")

    def undo(self, name: str, was: Iterable[str], now: Iterable[str], ttl: int) -> Switched:
        """Let a name have what it had before a switch, none to remove it. May be repeated.

        Raises Refused when somebody has pointed it elsewhere meanwhile.
        """
        return self.switch(name, was, ttl=ttl, expected=now)

    def _replace(self, name: str, seen: tuple[str, ...], to: tuple[str, ...], ttl: int) -> bool:
        """Send the update; return False when the name has not what was seen any more."""
        full, update = self._full(name), self._update()
        if seen:
            update.present(full, *dns.rrset.from_text_list(full, 0, "IN", "A", list(seen)))
        else:
            update.absent(full, "A")
        update.delete(full, "A")
        for address in to:
            update.add(full, ttl, "A", address)
        code = self._send(update)
        return code == dns.rcode.NOERROR

    def _await(self, name: str, target: tuple[str, ...], give_up: float) -> None:
        while (answer := self.look_up(name)).addresses != target:
            if time.monotonic() > give_up:
                raise CheckFailed(
                    f"{self} took the update of {name}, and still answers {_shown(answer.addresses)}",
                    hint="is it the primary of the zone? look at its log",
                )
            time.sleep(POLL_SECONDS)

    def _update(self) -> dns.update.UpdateMessage:
        return dns.update.UpdateMessage(
            self.zone, keyring=self._keyring(), keyname=dns.name.from_text(self.key), keyalgorithm=self.algorithm
        )

    def _keyring(self) -> Any:
        text = self.secret.reveal()
        try:
            base64.b64decode(text, validate=True)
        except binascii.Error:
            raise InvalidInput(
                f"the secret of the key {self.key} is no base64",
                hint="write the secret alone, as tsig-keygen prints it",
            ) from None
        return dns.tsigkeyring.from_text({self.key: text})

    def _send(self, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        """Send an update. Return NOERROR, or the code that says that a prerequisite does not hold."""
        code = self._ask(update).rcode()
        if code in (dns.rcode.NOERROR, dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN):
            return code
        raise self._refusal(code, f"asked to change {self.zone}")

    def _ask(self, query: dns.message.Message) -> dns.message.Message:
        try:
            address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][4][0]
            return dns.query.tcp(query, str(address), timeout=ANSWER_SECONDS, port=self.port)
        except dns.tsig.PeerError as error:
            raise CredentialRefused(
                f"{self} does not accept the key {self.key}: {type(error).__name__}",
                hint="compare key name, algorithm and secret with the server's; and both clocks",
            ) from error
        except dns.tsig.BadSignature as error:
            raise CredentialRefused(f"{self}: its answer is signed with another key than {self.key}") from error
        except (OSError, EOFError, dns.exception.DNSException) as error:
            said = (
                "no answer in time" if isinstance(error, dns.exception.Timeout) else str(error) or type(error).__name__
            )
            raise Unreachable(f"{self} does not answer: {said}", hint="is it up, and port 53 open for TCP?") from error

    def _refusal(self, code: dns.rcode.Rcode, asked: str) -> TricenterError:
        said = f"{self}, {asked}, answers {dns.rcode.to_text(code)}"
        if code in (dns.rcode.NOTAUTH, dns.rcode.NOTZONE):
            return InvalidInput(said, hint=f"it is not the primary of {self.zone}, or does not know {self.key}")
        if code == dns.rcode.REFUSED:
            return Refused(said, hint=f"let the key change the zone: update-policy {{ grant {self.key} zonesub A; }};")
        return Unreachable(said, hint="look at the log of the name server")

    def _full(self, name: str) -> dns.name.Name:
        zone = dns.name.from_text(self.zone)
        full = dns.name.from_text(name, None if name.endswith(".") else dns.name.root)
        if not full.is_subdomain(zone):
            raise InvalidInput(f"{name} is not in the zone {self.zone}", hint="write names of the plan in full")
        return full


def _shown(addresses: tuple[str, ...]) -> str:
    return ", ".join(addresses) or "nothing"


def _since(begin: float) -> float:
    return round(time.monotonic() - begin, 3)
