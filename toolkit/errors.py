"""What goes wrong outside our own arithmetic.

A wrong argument is a plain ``ValueError`` that names the field, the rule and the value.
``ToolkitError`` is for what only the outside can get wrong, a file above all,
so that a caller can catch it without catching mistakes in a program::

    ToolkitError
    └── LoadTestError   a load-test file that cannot be read
"""


class ToolkitError(Exception):
    """The base of every error that is about the world, not about an argument."""

    def _render_traceback_(self) -> list[str]:
        """Say it in a notebook without the way through our own code, which is not at fault."""
        return [f"{type(self).__name__}: {self}"]


class LoadTestError(ToolkitError):
    """A load-test file that cannot be read; the message names file, line, rule and remedy."""
