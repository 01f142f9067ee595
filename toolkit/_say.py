"""Numbers in sentences, with one wording."""


def three_digits(value: float) -> str:
    """Return three digits or all before the point, never an exponent.

    >>> [three_digits(value) for value in (0.12345, 71.04, 13147.2)]
    ['0.123', '71', '13,147']
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
