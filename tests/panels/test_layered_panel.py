"""Layers over none, as a picture of all that was counted and measured."""

import toolkit as tk


def test_every_figure_of_the_table_is_named_on_its_side():
    compared = tk.exhibits.compared(tk.exhibits.measured("race"))
    picture = tk.panels.layered(compared)
    more, less = picture.text.split("Less: ")

    assert "lines of code 7.1" in more
    assert "places to change: store 0.22" in less
    assert all(name in picture.text for name in compared.index)
    assert picture.png.startswith(b"\x89PNG")
