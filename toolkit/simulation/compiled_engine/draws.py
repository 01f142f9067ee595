"""Draws for compiled code: rows of them, and single numbers out of rows that nobody has drawn.

A row of draws is that of ``Streams``: one for each purpose, stage and attempt number, with a number a
job.  Rows of durations are drawn by numpy.  Of a row of uniform numbers only some are wanted after
the first attempt, so they are computed one by one: numpy's PCG64 is a linear congruential generator
of 128 bits, whose state after n steps is known without making them (O'Neill 2014, section 4.3.1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toolkit.simulation.compiled_engine.memory import high_product, inline, record_at, records

MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645  # numpy's PCG64
_MASK, _WHOLE = (1 << 64) - 1, (1 << 128) - 1
DIGIT_BITS, DIGITS = 6, 7  # jobs below 2^42

GENERATOR = records("generator", dict.fromkeys(["high", "low", "add_high", "add_low"], "u8"))
JUMP = records("jump", dict.fromkeys(["high", "low", "sum_high", "sum_low"], "u8"))
generator_at, jump_at = record_at(GENERATOR), record_at(JUMP)


def halves(number: int) -> tuple[int, int]:
    """Return the upper and the lower 64 bits of 128."""
    return (number >> 64) & _MASK, number & _MASK


def jumps() -> npt.NDArray[np.void]:
    """Return, for each digit of a number of steps, what they do: multiply the state, add so often."""
    table = np.zeros(DIGITS << DIGIT_BITS, JUMP)
    factor, terms = MULTIPLIER, 1  # of 64^digit steps: s -> factor s + terms x increment
    for digit in range(DIGITS):
        power, total = 1, 0
        for value in range(1 << DIGIT_BITS):
            table[(digit << DIGIT_BITS) + value] = (*halves(power), *halves(total))
            power, total = power * factor & _WHOLE, (total * factor + terms) & _WHOLE
        factor, terms = power, total
    return table


def generator_of(rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return the state of a generator before its first draw, as a ``GENERATOR`` record."""
    state = rng.bit_generator.state["state"]
    return (*halves(state["state"]), *halves(state["inc"]))


@inline
def uniform_after(generator, jump_table, steps):
    """Return the uniform number that numpy's generator gives after ``steps`` others."""
    high, low = generator.high, generator.low
    left, place = steps + 1, 0
    while left:
        digit = left & 63
        if digit:
            jump = jump_at(jump_table, place + digit)
            product = low * jump.low
            high = high_product(low, jump.low) + high * jump.low + low * jump.high
            low = product
            extra = jump.sum_low * generator.add_low
            high += high_product(jump.sum_low, generator.add_low)
            high += jump.sum_high * generator.add_low + jump.sum_low * generator.add_high
            low += extra
            if low < extra:
                high += np.uint64(1)
        left >>= 6
        place += 64
    mixed, turn = high ^ low, high >> np.uint64(58)
    mixed = (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))
    return np.float64(mixed >> np.uint64(11)) * (1.0 / 9007199254740992.0)
