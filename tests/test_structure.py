"""The package keeps its shape: who may import whom, how long things are, what loads with it.

Read from the syntax tree, so imports inside functions count as well.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit as tk

ROOT = Path(__file__).parents[1]
MODULES = {
    path.relative_to(ROOT / "toolkit").with_suffix("").as_posix().removesuffix("/__init__"): path
    for path in sorted((ROOT / "toolkit").rglob("*.py"))
}
"""Every module by its place in the package: ``laws``, ``simulation/run``; ``__init__`` is the whole."""

TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}

# as DESIGN.md has it; what stands in one row does not know the others of the row unless said below
ORDER = [
    {"errors", "_check", "_say"},
    {"laws", "backoff"},
    {"arrivals"},
    {"design"},
    {"simulation", "systems", "theory", "ebpf"},
    {"experiments", "recordings"},
    {"inference"},
    {"fitting"},
    {"advice"},
    {"twins"},
    {"lessons"},
    {"panels"},
    {"cli"},
    {"__main__"},
]
SPECIAL = {
    "loadtest": {"errors", "_check", "_say"},
    "exhibits": {"errors", "_check"},
    "plots": {"laws", "_say"},  # for the name of an array's type
    "inference": {"loadtest"},
    "fitting": {"loadtest"},
    "advice": {"loadtest"},  # a fit is tried on a test
    "twins": {"loadtest"},
    "panels": {"plots", "loadtest"},
    "cli": {"plots", "loadtest"},
}
"""What a part may know beside the rows before its own; ``loadtest``, ``exhibits`` and ``plots`` are in no row."""


def part(name):
    """Return the part of the package that a module belongs to: ``simulation/run`` to simulation."""
    return name.split("/")[0]


APART = "ebpf/agent"  # runs by another Python, under a name of its own, without the rest
BESIDE = "beside"  # where a relative import is from


def imports(tree):
    """Yield every module imported, with whether it is when the module is loaded, and for types only."""
    todo = [(node, True, False) for node in tree.body]
    while todo:
        node, early, typing = todo.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, early, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            place = node.module if not node.level else ".".join(filter(None, [BESIDE, node.module]))
            yield from ((f"{place}.{alias.name}", early, typing) for alias in node.names)
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        todo += [
            (child, early and not late, typing or types) for child in ast.iter_child_nodes(node)
        ]


def known_parts(name):
    """Return the parts of the package that a module imports, its own left out."""
    places = [module.split(".") for module, _, _ in imports(TREES[name])]
    return {place[1] for place in places if place[0] == "toolkit" and len(place) > 1} - {part(name)}


def allowed_parts(name):
    earlier = set()
    for row in ORDER:
        if part(name) in row:
            return earlier | SPECIAL.get(part(name), set())
        earlier |= row
    return SPECIAL[part(name)]


def test_every_part_has_its_place():
    """A new module is put into the order before it is used."""
    parts = {part(name) for name in MODULES} - {"__init__"}

    assert parts == set().union(*ORDER) | set(SPECIAL)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__init__"])
def test_data_flows_one_way(name):
    """Read from the first to the last module, nobody meets a name that comes later."""
    assert known_parts(name) <= allowed_parts(name)


def test_only_the_agent_says_from_here():
    """A relative import hides where a name is from; the agent has no other way, and imports nothing else."""
    for name, tree in TREES.items():
        places = {module.split(".")[0] for module, _, _ in imports(tree)}

        assert (BESIDE in places) <= name.startswith(APART)
        assert not (name.startswith(APART) and places & {"toolkit", "numpy", "pandas"})


def inside(*places):
    """Return the modules in these places of the package."""
    return {name for name in MODULES if name.startswith(places)}


ONLY = {
    "matplotlib": inside("plots"),
    "ipywidgets": inside("panels", "lessons"),
    "IPython": inside("panels", "lessons"),
    "simpy": inside("simulation/simpy_engine"),
    "numba": {"simulation/compiled_engine/making"},
    "llvmlite": inside(
        *(f"simulation/compiled_engine/{one}" for one in ("making", "loading", "cache"))
    ),
    "dask": inside("experiments"),
    "distributed": inside("experiments"),
    "bcc": inside("ebpf/agent"),
}


@pytest.mark.parametrize("package", ONLY)
def test_a_package_has_one_door(package):
    """What only one module knows can be exchanged, and the rest be read without it."""
    users = {
        name
        for name, tree in TREES.items()
        for module, _, typing in imports(tree)
        if module.split(".")[0] == package and not typing
    }

    assert users <= ONLY[package]


@pytest.mark.parametrize("package", ["scipy", "tqdm", "matplotlib", "ipywidgets", "IPython"])
def test_what_is_slow_to_load_is_loaded_where_it_is_used(package):
    """Half a second that most users never need."""
    early = [
        name
        for name, tree in TREES.items()
        for module, early, typing in imports(tree)
        if module.split(".")[0] == package and early and not typing
    ]

    assert early == []


def test_nothing_slow_loads_with_the_toolkit():
    """The same seen from outside: in a fresh process, whoever may have imported it for us."""
    slow = [
        "matplotlib",
        "ipywidgets",
        "scipy",
        "tqdm",
        "IPython",
        "jupyterlab",
        "dask",
        "numba",
        "llvmlite",
        "toolkit.advice",
        "toolkit.experiments",
        "toolkit.loadtest",
        "toolkit.plots",
    ]
    slow += ["distributed", "multiprocessing"]
    program = f"import sys, toolkit; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert done.stdout.strip() == "[]"


# --- public names ---


def as_ruff_sorts(name):
    """Constants, then classes, then the rest (RUF022)."""
    return (not name.isupper(), not name[0].isupper(), name)


def test_the_public_names_are_sorted():
    assert tk.__all__ == sorted(tk.__all__, key=as_ruff_sorts)


def test_every_public_name_exists():
    assert [name for name in tk.__all__ if not hasattr(tk, name)] == []
    assert len(set(tk.__all__)) == len(tk.__all__)


def test_every_name_that_the_package_imports_is_public():
    """A name that can be had as ``tk.name`` without standing in the list is a promise by mistake."""
    brought = {
        alias.asname or alias.name
        for node in ast.walk(TREES["__init__"])
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }

    assert brought == set(tk.__all__)


def test_a_name_that_is_loaded_later_can_be_found_and_is_then_at_hand():
    """By who completes names, by its place, and by a star; a name that does not exist by nobody."""
    program = """
import toolkit as tk
later = set(tk.__all__) - set(vars(tk))
assert {"fit", "plots", "sweep"} <= later and later <= set(dir(tk)), later
assert tk.fit is tk.fit and callable(tk.fit) and "fit" in vars(tk)
from toolkit import *
assert set(tk.__all__) <= set(globals())
try:
    tk.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert done.stdout.strip() == "module 'toolkit' has no attribute 'nothing'"


# --- length ---


def length(function):
    """Return the lines of a function, its docstring left out; decorators and signature count."""
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    lines = function.end_lineno - first + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


# one loop, a branch for each kind of event: in pieces it would be slower, and its order harder to see;
# and functions that are made twice from one text
LOOPS = {
    "simulation/compiled_engine/plain": ["step"],
    "simulation/compiled_engine/full/loop": ["step", "happen"],
    "simulation/compiled_engine/full/wakes": ["trip_comes"],
    "simulation/compiled_engine/full/matching": ["with_match"],
}


@pytest.mark.parametrize("name", MODULES)
def test_a_function_fits_on_a_screen(name):
    """30 lines; past that, name the pieces."""
    functions = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.FunctionDef)]
    long = {function.name: length(function) for function in functions if length(function) > 30}
    long = {name_of: lines for name_of, lines in long.items() if name_of not in LOOPS.get(name, [])}

    assert long == {}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_read_in_one_sitting(name):
    """350 lines; past that, it has two subjects."""
    assert len(MODULES[name].read_text().splitlines()) <= 350


# --- notebooks ---

KEEPS_OUTPUT = "nbval-check-output"  # the tag of a cell whose output is compared when tests run


def code_cells():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text())["cells"]):
            if cell["cell_type"] == "code":
                yield f"{path.name}, cell {number}", cell


def test_no_cell_of_a_notebook_is_long():
    """15 lines; what needs more belongs in the toolkit."""
    lines = {
        where: sum(bool(line.strip()) for line in "".join(cell["source"]).splitlines())
        for where, cell in code_cells()
    }

    assert {where: count for where, count in lines.items() if count > 15} == {}


def test_no_notebook_stores_outputs_but_where_they_are_checked():
    """An output that nobody checks goes stale, and a reader should predict before seeing it."""
    stored = [
        where
        for where, cell in code_cells()
        if cell["outputs"] and KEEPS_OUTPUT not in cell["metadata"].get("tags", [])
    ]

    assert stored == []


def test_a_cell_whose_output_is_checked_has_run():
    """The tool that checks takes an output without an execution count for a mistake."""
    never_run = [
        where
        for where, cell in code_cells()
        if KEEPS_OUTPUT in cell["metadata"].get("tags", []) and cell["execution_count"] is None
    ]

    assert never_run == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_no_notebook_stores_the_state_of_its_widgets(path):
    """A hundred kilobytes that change with every run and show nobody anything."""
    assert "widgets" not in json.loads(path.read_text())["metadata"]
