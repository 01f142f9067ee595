"""Draws for compiled code: rows of them, and single numbers out of rows that nobody has drawn.

A row of draws is that of ``Streams``: one for each purpose, stage and attempt number, with a number a
job.  Rows of durations are drawn by numpy, but for exponential ones, which most models are made of:
these are drawn here, with the same result to the last bit.  Few jobs make a second attempt, so uniform
numbers and exponential durations after the first are computed one by one: numpy's PCG64 is a linear
congruential generator of 128 bits, whose state after n steps is known without making them (O'Neill
2014, section 4.3.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.arrivals import Poisson
from toolkit.laws import Array, Exponential
from toolkit.simulation.compiled_engine.memory import (
    EXP_HEIGHT,
    EXP_INSIDE,
    EXP_SCALE,
    EXP_TAIL,
    address,
    entry,
    high_product,
    inline,
    read_float,
    read_int,
    record_at,
    records,
    write_float,
)
from toolkit.simulation.streams import Streams

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


# --- a generator, step by step ---

NOTHING = (np.uint64(0), np.uint64(0))


@inline
def stepped(state, factor, add):
    """Return a state of 128 bits, in halves, times a factor and with something added."""
    (high, low), (factor_high, factor_low), (add_high, add_low) = state, factor, add
    new_low = low * factor_low + add_low
    new_high = high_product(low, factor_low) + high * factor_low + low * factor_high + add_high
    if new_low < add_low:
        new_high += np.uint64(1)
    return new_high, new_low


@inline
def word_of(state):
    """Return the 64 bits that the generator gives in a state."""
    high, low = state
    mixed, turn = high ^ low, high >> np.uint64(58)
    return (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))


@inline
def unit_of(word):
    """Return a word as a number from zero to one."""
    return np.float64(np.int64(word >> np.uint64(11))) * (1.0 / 9007199254740992.0)


# --- numbers that are had alone ---


@inline
def uniform_after(generator, jump_table, steps):
    """Return the uniform number that numpy's generator gives after ``steps`` others."""
    state, add = (generator.high, generator.low), (generator.add_high, generator.add_low)
    left, place = steps + 1, 0
    while left:
        digit = left & 63
        if digit:
            jump = jump_at(jump_table, place + digit)
            added = stepped((jump.sum_high, jump.sum_low), add, NOTHING)
            state = stepped(state, (jump.high, jump.low), added)
        left >>= 6
        place += 64
    return unit_of(word_of(state))


@inline
def uniform_of(w, place, job):
    """Return a job's number of a row of uniform ones: one that was drawn, or else computed for itself."""
    row = read_int(w.drawn, place)
    if row:
        return read_float(row, job)
    return uniform_after(generator_at(w.generators, place), w.jumps, job)


@inline
def duration_of(w, place, job, mean_s):
    """Return a job's duration of a row: one that was drawn, or else exponential, by numpy's inversion."""
    row = read_int(w.drawn, place)
    if row:
        return read_float(row, job)
    return -math.log1p(-uniform_after(generator_at(w.generators, place), w.jumps, job)) * mean_s


# --- exponential numbers, a row at a time ---
#
# The ziggurat of Marsaglia and Tsang (2000): a word says which of 256 layers, and where in it; of 100
# words 99 lie where nothing more is to be asked.  The tables are numpy's, as numba knows them.

_LANES = 4  # states in a row whose products do not wait for each other
STEP = tuple(map(np.uint64, halves(MULTIPLIER)))
STRIDE = tuple(map(np.uint64, halves(pow(MULTIPLIER, _LANES, _WHOLE + 1))))
STRIDE_TERMS = tuple(
    map(np.uint64, halves(sum(MULTIPLIER**power for power in range(_LANES)) & _WHOLE))
)


@inline
def layer_of(word):
    """Return the layer and the place in it that a word says."""
    return int((word >> np.uint64(3)) & np.uint64(255)), word >> np.uint64(11)


@inline
def is_inside(state):
    """Say whether a state gives a number at once."""
    layer, place = layer_of(word_of(state))
    return place < EXP_INSIDE[layer]


@inline
def are_inside(first, second, third, last):
    """Say whether each of four states gives a number at once."""
    return is_inside(first) & is_inside(second) & is_inside(third) & is_inside(last)


@inline
def number_of(state):
    """Return the number that a state gives."""
    layer, place = layer_of(word_of(state))
    return np.float64(np.int64(place)) * EXP_SCALE[layer]


@inline
def next_exponential(state, add):
    """Return the next number, and the state after it, whatever it takes."""
    while True:
        state = stepped(state, STEP, add)
        number = number_of(state)
        if is_inside(state):
            return number, state
        layer, _ = layer_of(word_of(state))
        state = stepped(state, STEP, add)
        luck = unit_of(word_of(state))
        if layer == 0:
            return EXP_TAIL - math.log1p(-luck), state
        height = (EXP_HEIGHT[layer - 1] - EXP_HEIGHT[layer]) * luck + EXP_HEIGHT[layer]
        if height < math.exp(-number):
            return number, state


@entry
def fill_exponentials(generators, out, count, scale):
    """Write the next ``count`` numbers of a generator, and its state; ``scale`` has a factor and a divisor."""
    generator = generator_at(generators, 0)
    factor, divisor = read_float(scale, 0), read_float(scale, 1)
    state, add = (generator.high, generator.low), (generator.add_high, generator.add_low)
    stride_add = stepped(add, STRIDE_TERMS, NOTHING)
    done = 0
    while done < count:
        first = stepped(state, STEP, add)
        second = stepped(first, STEP, add)
        third = stepped(second, STEP, add)
        last = stepped(third, STEP, add)
        while done + 4 <= count and are_inside(first, second, third, last):
            write_float(out, done, number_of(first) * factor / divisor)
            write_float(out, done + 1, number_of(second) * factor / divisor)
            write_float(out, done + 2, number_of(third) * factor / divisor)
            write_float(out, done + 3, number_of(last) * factor / divisor)
            done, state = done + 4, last
            first, second = stepped(first, STRIDE, stride_add), stepped(second, STRIDE, stride_add)
            third, last = stepped(third, STRIDE, stride_add), stepped(last, STRIDE, stride_add)
        for _ in range(min(4, count - done)):
            number, state = next_exponential(state, add)
            write_float(out, done, number * factor / divisor)
            done += 1
    generator.high, generator.low = state


def scale_of(source: object) -> tuple[float, float] | None:
    """Return what a source multiplies its exponential numbers by and divides them by, if it has such."""
    if type(source) is Exponential:
        return source.mean_s, 1.0
    return (1.0, source.rate_per_s) if type(source) is Poisson else None


class QuickStreams(Streams):
    """The same draws, the exponential ones made by compiled code."""

    def _parts(
        self, source: Any, draw: Callable[[np.random.Generator, int], Array], *at: int
    ) -> Callable[[int], Array]:
        scale = scale_of(source)
        if scale is None or draw == getattr(source, "draw_apart_s", None):
            return super()._parts(source, draw, *at)
        generator: list[npt.NDArray[np.void]] = []
        scales = np.array(scale)

        def make(count: int) -> Array:
            if not generator:  # a row that is kept needs none
                generator.append(np.array([generator_of(self._generator(*at))], GENERATOR))
            numbers = np.empty(count)
            fill_exponentials(address(generator[0]), address(numbers), count, address(scales))
            return numbers

        return make


def quick(streams: Streams) -> QuickStreams:
    """Return the same streams, drawn quickly."""
    return QuickStreams(seed=streams.seed, replication=streams.replication, jobs=streams.jobs)
