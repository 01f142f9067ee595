"""What comes next: SimPy's order of events, kept by hand.

SimPy orders events by time, then priority, then the order of creation.  Here

- what is planned for later lies in a heap, by (time, rank, number), the number counting creations;
- what is to happen at the present moment lies in a line, first come, first served; a delay that is too
  short to move the clock goes there too;
- what SimPy calls urgent (a process starts, a process is interrupted) lies in a second line.

Whatever the heap has for this moment was created before the moment came, so before anything in line.
So the next event is: the urgent line; the heap, as far as it is of this moment and of SimPy's normal
rank; the line; the heap.  Lower ranks (a caller's time-out, an arrival, the end of an outage) have no
line of their own: they wait in the heap until there is nothing else at their moment.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toolkit.simulation.compiled_engine.memory import (
    inline,
    is_less,
    lowest_bit,
    read_int,
    record_at,
    records,
    write_int,
)

# a time is not negative, so its bits rank as it does: with the order below them, one number to compare by
EVENT = records("event", {"order": "i8", "at_s": "f8", "what": "i8"})
event_at = record_at(EVENT)
WIDTH = EVENT.itemsize
RANK_BITS = 56  # an order is the rank, and below it the number


@inline
def move(heap, target, source):
    """Copy an event from one place of the heap to another."""
    to, of = event_at(heap, target), event_at(heap, source)
    to.at_s, to.order, to.what = of.at_s, of.order, of.what


@inline
def put_event(heap, count, at_s, order, what):
    """Put an event into a heap of ``count`` others."""
    place = count
    while place:
        above = (place - 1) >> 2
        parent = event_at(heap, above)
        if parent.at_s < at_s or (parent.at_s == at_s and parent.order < order):
            break
        move(heap, place, above)
        place = above
    entry = event_at(heap, place)
    entry.at_s, entry.order, entry.what = at_s, order, what


@inline
def earlier(heap, one, other):
    """Return which of two places of the heap has the earlier event."""
    # without a branch: which of two comes first cannot be predicted
    return one + (other - one) * is_less(heap + WIDTH * other, heap + WIDTH * one)


@inline
def drop_first(heap, count):
    """Take the first event out of a heap of ``count``, each with four below it.

    The gap goes down to a leaf by way of the earliest child, and the last event from there up to its
    place: it came from a leaf, so that is seldom far (Wegener 1993).
    """
    last = count - 1
    place, below = 0, 1
    while below + 3 < last:
        low, high = earlier(heap, below, below + 1), earlier(heap, below + 2, below + 3)
        below = earlier(heap, low, high)
        move(heap, place, below)
        place, below = below, 4 * below + 1
    if below < last:
        first = below
        for k in range(below + 1, last):
            first = earlier(heap, first, k)
        move(heap, place, first)
        place = first
    moved = event_at(heap, last)
    put_event(heap, place, moved.at_s, moved.order, moved.what)


def all_below(count: int) -> npt.NDArray[np.int64]:
    """Return the set of all numbers below ``count``: a bit for each, 64 in a word."""
    words = np.full(count // 64 + 1, -1, np.int64)
    words[-1] = (1 << count % 64) - 1
    return words


@inline
def put_number(numbers, number):
    """Put a number into a set of numbers."""
    place = number >> 6
    write_int(numbers, place, read_int(numbers, place) | (1 << (number & 63)))


@inline
def take_number(numbers):
    """Take the lowest number out of a set that is not empty."""
    place = 0
    while read_int(numbers, place) == 0:
        place += 1
    word = read_int(numbers, place)
    write_int(numbers, place, word & (word - 1))
    return 64 * place + lowest_bit(word)


@inline
def put_in_line(line, mask, first, count, what):
    """Put an event at the end of a line, a ring of ``mask + 1`` places."""
    write_int(line, (first + count) & mask, what)


@inline
def first_in_line(line, mask, first):
    """Return the first event of a line."""
    return read_int(line, first & mask)
