"""A place inside a tenant's network: `python -m orchestrator.lab.inside --dir LAB NETWORK CIDR -- COMMAND…`.

The networks of guests that boot have no way in or out. This runs a command with one leg in the network of the Neutron
id NETWORK, at a free address of its subnet CIDR, and with nothing else: no other card, no route. The namespace has no
name and belongs to the command alone, so it goes with the command, however that ends, and its card with it.

The command takes the place of this program: input, output, signals and the exit code are its own.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import struct
import sys
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import click

from orchestrator import process
from orchestrator.errors import InvalidInput, TricenterError
from orchestrator.lab import daemons, links
from orchestrator.lab.layout import Lab, open_lab

NAME = "inside"
CARD = "leg0"
CLONE_NEWNET = 0x40000000
#: So many addresses, from the top of the subnet, are tried. Neutron gives addresses out from the bottom.
CANDIDATES = 24
SMALLEST = 8
ANSWER_SECONDS = 0.15
ARP, ETHERNET, IPV4 = 0x0806, 1, 0x0800
REQUEST, REPLY = 1, 2


def enter(lab: Lab, network: str, cidr: IPv4Network) -> socket.socket:
    """Move this process into a new namespace with a card in the network, and return what reserves its address.

    Raises TricenterError when no address is free, InvalidInput when the subnet is too small or this is not root.
    """
    if os.geteuid() != 0:
        raise InvalidInput("only root can enter a network", hint="run the command as root")
    if cidr.num_addresses < SMALLEST:
        raise InvalidInput(f"the subnet {cidr} has no room for another address")
    candidates = _candidates(network, cidr)
    own = bytes([2, *secrets.token_bytes(5)])  # 2: given by ourselves, not by a maker of cards
    _plug(lab, network, own.hex(":"))
    return _settle(candidates, cidr, own)


def _candidates(network: str, cidr: IPv4Network) -> list[tuple[IPv4Address, socket.socket]]:
    """Reserve one address against others of our kind, and a few more in case that somebody else has it.

    A name in the kernel's abstract namespace is ours while the socket is open, and gone when the process is.
    """
    found: list[tuple[IPv4Address, socket.socket]] = []
    for place in range(2, min(CANDIDATES + 2, cidr.num_addresses - 2)):
        address, claim = cidr[-place], socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0tricenter-inside/{network}/{address}")
        except OSError:
            claim.close()
            continue
        found.append((address, claim))
        if len(found) == 3:
            break
    return found


def _plug(lab: Lab, network: str, mac: str) -> None:
    """Leave the machine's namespace for one of our own, with a card whose other end is in the network's bridge."""
    machine = os.open("/proc/self/ns/net", os.O_RDONLY)
    from_machine = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{machine}", "ip", "link"]
    outside = f"{links.prefix(lab)}v{os.getpid():x}"
    peer = ["peer", "name", CARD, "address", mac, "netns", str(os.getpid())]
    with links.held(lab):
        links.sweep_bridges(lab)
        bridge = links.ensure_bridge(lab, network)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise TricenterError(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}")
        # One request makes both ends, and one of them in our namespace: there is no moment at which it could be left.
        for words in (
            ["add", outside, "master", bridge, "type", "veth", *peer],
            ["set", outside, "addrgenmode", "none"],
            ["set", outside, "up"],
        ):
            process.run([*from_machine, *words], deadline_seconds=links.IP_SECONDS)
    os.close(machine)
    links.ip("link", "set", "lo", "up")
    links.ip("link", "set", CARD, "up")


def _settle(candidates: list[tuple[IPv4Address, socket.socket]], cidr: IPv4Network, own: bytes) -> socket.socket:
    """Take the first candidate that nobody answers for, and let the others go."""
    chosen: socket.socket | None = None
    for address, claim in candidates:
        if chosen is None and not _answered(address, own):
            links.ip("addr", "add", f"{address}/{cidr.prefixlen}", "dev", CARD)
            os.set_inheritable(claim.fileno(), True)
            chosen = claim
        else:
            claim.close()
    if chosen is None:
        raise TricenterError(f"no address of {cidr} is free for a probe", hint="wait for other probes to end")
    return chosen


def _answered(address: IPv4Address, own: bytes) -> bool:
    """Ask by ARP, without an address of our own, whether somebody has this one."""
    question = struct.pack("!HHBBH6s4s6s4s", ETHERNET, IPV4, 6, 4, REQUEST, own, bytes(4), bytes(6), address.packed)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as card:
        card.bind((CARD, ARP))
        card.send(b"\xff" * 6 + own + struct.pack("!H", ARP) + question)
        end = time.monotonic() + ANSWER_SECONDS
        while (left := end - time.monotonic()) > 0:
            card.settimeout(left)
            try:
                frame = card.recv(128)
            except TimeoutError:
                return False
            if struct.unpack("!H", frame[20:22])[0] == REPLY and frame[28:32] == address.packed:
                return True
    return False


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.argument("network")
@click.argument("cidr")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def main(folder: Path, network: str, cidr: str, command: tuple[str, ...]) -> None:
    """Run COMMAND inside NETWORK."""
    try:
        lab = open_lab(folder)
        enter(lab, network, _subnet(cidr))
        mark = {daemons.MARK: f"{lab.folder}:{NAME}"}
        process.become(command, {**os.environ, **mark})
    except TricenterError as error:
        print(f"{error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"{command[0]} cannot be run inside: {error}", file=sys.stderr)
        sys.exit(127)


def _subnet(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise InvalidInput(f"{text} is no IPv4 subnet: {error}") from error


if __name__ == "__main__":
    main()
