"""One module for each file format, all with the same four names.

``TOOL`` is what a user writes for ``tool=``, ``NAME`` what an error message calls the format,
``recognises(head)`` looks at the first bytes, ``read(source)`` makes the ``LoadTest``.
``toolkit.loadtest.read`` holds them in a plain tuple; a new format is a new module and one more
entry there.
"""
