"""Restic's key objects and the polynomial, written and read without restic."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import CheckFailed, Refused
from orchestrator.secrets import Secret, make_password
from orchestrator.vault.restic import polynomial
from orchestrator.vault.restic.creation import Draft, draft
from orchestrator.vault.restic.keyfile import CHEAP, Cost, Master, open_key, read_cost, write_cheap_key, write_key

#: Of restic's own chunker's documentation.
IRREDUCIBLE = 0x3DA3358B4DC173


@given(st.binary(max_size=200))
def test_what_is_sealed_comes_back_and_a_changed_bit_is_seen(data: bytes) -> None:
    master = Master.draw()
    sealed = master.seal(data)

    assert master.unseal(sealed) == data
    for place in (0, 20, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[min(place, len(sealed) - 1)] ^= 1
        with pytest.raises(CheckFailed):
            master.unseal(bytes(changed))
    with pytest.raises(CheckFailed):
        Master.draw().unseal(sealed)


def test_poly1305_aes_is_that_of_its_paper() -> None:
    """The first examples of appendix B of "The Poly1305-AES message-authentication code"."""
    for r, k, n, message, tag in (
        ("851fc40c3467ac0be05cc20404f3f700", "ec074c835580741701425b623235add6",
         "fb447350c4e868c52ac3275cf9d4327e", "f3f6", "f4c633c3044fc145f84f335cb81953de"),
        ("a0f3080000f46400d0c7e9076c834403", "75deaa25c09f208e1dc4ce6b5cad3fbf",
         "61ee09218d29b0aaed7e154a2c5509cc", "", "dd3fab2251f11ac759f0887129cc2ee7"),
    ):  # fmt: skip
        master = Master(bytes(32), bytes.fromhex(k), bytes.fromhex(r))
        assert master._tag(bytes.fromhex(n), bytes.fromhex(message)).hex() == tag


def test_a_key_opens_with_its_password_and_no_other() -> None:
    master, password = Master.draw(), make_password()
    key = write_cheap_key(master, password)

    assert open_key(key, password) == master
    assert open_key(key, make_password()) is None
    assert read_cost(key) == CHEAP


def test_a_cheap_key_is_refused_to_what_a_person_thought_up() -> None:
    for weak in ("repository-password", "correct horse battery staple", "tricenter1_" + "A" * 48):
        with pytest.raises(Refused, match="that this program made"):
            write_cheap_key(Master.draw(), Secret(weak))
        with pytest.raises(Refused):
            draft(Secret(weak))


def test_no_secret_is_shown() -> None:
    master, password = Master.draw(), make_password()
    shown = f"{master!r} {password!r}"

    assert password.reveal() not in shown
    assert base64.b64encode(master._encrypt).decode() not in shown
    assert password.reveal().encode() not in draft(password).as_json()


@pytest.mark.parametrize(
    "change", [{"kdf": "argon2"}, {"N": "1024"}, {"N": 0}, {"salt": None}, {"N": 1 << 30}, {"r": 1 << 24}]
)
def test_a_key_object_of_another_kind_is_refused_before_it_is_derived(change: dict[str, object]) -> None:
    good = json.loads(write_key(Master.draw(), Secret("x"), Cost(16, 8, 1)))
    with pytest.raises(CheckFailed):
        open_key(json.dumps(good | change).encode(), Secret("x"))


def test_what_is_no_json_is_no_key() -> None:
    with pytest.raises(CheckFailed):
        read_cost(b"\x00not a key")


def test_a_draft_is_the_same_after_the_vault() -> None:
    made = draft(make_password())
    assert Draft.from_json(made.as_json()) == made


def test_its_config_is_one_that_restic_makes() -> None:
    password = make_password()
    made = draft(password)
    master = open_key(made.key, password)
    assert master is not None
    config = json.loads(master.unseal(made.config))

    assert (config["version"], len(config["id"])) == (2, 64)
    assert polynomial.irreducible(int(config["chunker_polynomial"], 16))


def test_known_polynomials() -> None:
    assert polynomial.irreducible(IRREDUCIBLE)
    assert [each for each in range(2, 32) if polynomial.irreducible(each)] == [2, 3, 7, 11, 13, 19, 25, 31]


def product(one: int, other: int) -> int:
    return 0 if not one else (other if one & 1 else 0) ^ product(one >> 1, other << 1)


@given(st.integers(2, 1 << 27), st.integers(2, 1 << 27))
def test_a_product_is_not_irreducible(one: int, other: int) -> None:
    assert not polynomial.irreducible(product(one, other))


def test_what_is_drawn_is_of_the_degree_and_irreducible() -> None:
    drawn = {polynomial.draw() for _ in range(5)}
    assert len(drawn) == 5
    assert all(each.bit_length() - 1 == polynomial.DEGREE and polynomial.irreducible(each) for each in drawn)
