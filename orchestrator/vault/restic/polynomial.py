"""The polynomial by which restic cuts files: drawn for each repository, so that sizes of packs tell nothing. Pure.

It is of degree 53 over two elements and irreducible, as restic's own. A polynomial is the integer with its bits.
"""

from __future__ import annotations

import secrets

DEGREE = 53


def draw() -> int:
    """Return a random one. About one candidate in 26 is irreducible."""
    while True:
        candidate = secrets.randbits(DEGREE + 1) | 1 << DEGREE | 1
        if irreducible(candidate):
            return candidate


def irreducible(polynomial: int) -> bool:
    """Return whether no other polynomial divides this one (Ben-Or): no factor of degree i is in x^(2^i) - x."""
    degree = polynomial.bit_length() - 1
    power = 2  # x
    for _ in range(degree // 2):
        power = remainder(square(power), polynomial)
        if greatest_divisor(polynomial, power ^ 2) != 1:
            return False
    return degree > 0


def square(polynomial: int) -> int:
    """Return the square: over two elements every bit goes to twice its place."""
    return int("0".join(f"{polynomial:b}"), 2)


def remainder(dividend: int, divisor: int) -> int:
    while (apart := dividend.bit_length() - divisor.bit_length()) >= 0:
        dividend ^= divisor << apart
    return dividend


def greatest_divisor(one: int, other: int) -> int:
    while other:
        one, other = other, remainder(one, other)
    return one
