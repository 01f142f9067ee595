"""A notebook as its tests read it: what is stored of its cells, and its exercises, to be answered."""

import ast
import json
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "notebooks"


class Book:
    """The stored cells of the notebook with this number.

    ``code``: the sources of its code cells; ``prose``: of its Markdown, in one text; ``printed``: what its
    cells wrote; ``exercises``: the cells that check an answer.
    """

    def __init__(self, number: str) -> None:
        [self.path] = FOLDER.glob(f"{number}-*.ipynb")
        self.cells = cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        self.code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        self.markdown = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
        self.prose = " ".join(self.markdown)
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        self.printed = "".join("".join(output.get("text", "")) for output in outputs)
        self.exercises = [code for code in self.code if "lessons.check" in code]

    def asked(self) -> list[str]:
        """Name the questions in the order in which they are asked."""
        return re.findall(r'lessons\.check\(\s*"([^"]+)"', "\n".join(self.exercises))

    def given(self, name: str) -> object:
        """Return the plain value that a cell gives to this name."""
        pattern = re.compile(rf"^{name} = (.*?)$", re.MULTILINE)
        [value] = {found[1] for code in self.code if (found := pattern.search(code))}
        return ast.literal_eval(value)

    def shown(self, code: str, names: dict[str, object]) -> object:
        """Run a cell and return what it shows: the value of its last line, if that has one."""
        *body, last = ast.parse(code).body
        if not isinstance(last, ast.Expr):
            body, last = [*body, last], None
        exec(compile(ast.Module(body, []), self.path.name, "exec"), names)
        return last and eval(compile(ast.Expression(last.value), self.path.name, "eval"), names)


def without_solution(code: str) -> str:
    """Return an exercise as learners get it."""
    return re.sub(r"### BEGIN SOLUTION\n.*?### END SOLUTION\n", "", code, flags=re.DOTALL)
