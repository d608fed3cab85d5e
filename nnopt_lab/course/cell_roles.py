"""Find the role of a lesson's cell from its code: cells that only claim or reveal are folded, others stay open."""

import ast
import re

FOLD = "fold"  # tag of a cell to fold although it does more than claim, such as one that draws
BESIDE_REVEAL = 2  # most simple statements beside a `reveal` in a folded cell
HELD = ("Imports", "Numbers", "Plot", "Diagram", "Animation", "Table", "Answer", "Claims")
LABEL = re.compile(rf"# (?:{'|'.join(HELD)})(?: and [a-z]+)?: \S.{{0,71}}")


def is_folded(source: str, metadata: dict) -> bool:
    """Whether JupyterLab shows a code cell's output without its code.

    A cell is folded if it has the tag `fold`, if it only imports and claims, or if it does little more than reveal,
    because the explanation in its code would give the answer before the learner has guessed.

    Raises:
        ValueError: the tag is on the cell of an exercise or a question, whose code the learner writes.
    """
    answered = next((metadata[kind] for kind in ("exercise", "question") if kind in metadata), None)
    if FOLD in metadata.get("tags", ()):
        if answered:
            raise ValueError(f"The cell of {answered} has the tag `{FOLD}`, which hides what the learner writes.")
        return True
    statements = _statements(source)
    return answered is None and (_only_claims(statements) or _only_reveals(statements))


def check_label(source: str) -> None:
    """Refuse a folded cell whose first line, the only one that JupyterLab shows of it, doesn't say what it holds.

    Raises:
        ValueError: the first line is no label, such as `# Plot: accuracy over sparsity`.
    """
    first = source.partition("\n")[0]
    if not LABEL.fullmatch(first):
        kinds = ", ".join(f"`# {kind}:`" for kind in HELD)
        raise ValueError(
            f"A folded cell begins with a comment that says what it holds, in at most 72 characters after {kinds}, "
            f"such as `# Plot: accuracy over sparsity`, not with {first!r}."
        )


def check_hidden(source: str) -> None:
    """Refuse an open cell that explains a measurement, because its code would answer a guess that is still to be made.

    Raises:
        ValueError: a `reveal` of the cell has a `because`.
    """
    for call in _named(source, "reveal"):
        if any(keyword.arg == "because" for keyword in call.keywords):
            raise ValueError(
                f"The cell of {ast.unparse(call.args[0])} shows its `because` before the guess: put the `reveal` into "
                "a folded cell of its own, which begins with `# Answer: …`."
            )


def claims_in(source: str) -> list[ast.Call]:
    """The calls of `claim` in a cell; one in a loop counts once."""
    return _named(source, "claim")


def depends_on_the_machine(source: str) -> bool:
    """Whether a claim of the cell is limited to some machines, so that its output differs between machines."""
    return any(keyword.arg == "where" for call in claims_in(source) for keyword in call.keywords)


def reveals(source: str) -> bool:
    """Whether a cell measures what was guessed."""
    return bool(_named(source, "reveal"))


def only_guesses(source: str) -> list[str]:
    """The names of the guesses that a cell asks for, if that is all that it does, else none."""
    calls = [s.value.args for s in _statements(source) if _calls(s, "predict")]
    names = [args[0].value for args in calls if len(args) == 1 and isinstance(args[0], ast.Constant)]
    return names if len(names) == len(_statements(source)) else []


def shows_progress(source: str) -> bool:
    """Whether a cell ends with the points so far, `progress()`, which would be outdated in a stored notebook."""
    last = [s.value for s in _statements(source)[-1:] if isinstance(s, ast.Expr)]
    return any(isinstance(c, ast.Call) and isinstance(c.func, ast.Name) and c.func.id == "progress" for c in last)


def _named(source: str, name: str) -> list[ast.Call]:
    calls = [node for top in _statements(source) for node in ast.walk(top) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name]


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:  # a cell with a magic command
        return []


def _only_claims(statements: list[ast.stmt]) -> bool:
    others = [s for s in statements if not isinstance(s, ast.Import | ast.ImportFrom)]
    return bool(others) and all(_claims(s) for s in others)


def _only_reveals(statements: list[ast.stmt]) -> bool:
    others = [s for s in statements if not _calls(s, "reveal")]
    simple = all(isinstance(s, ast.Assign) or _calls(s, "print") or _claims(s) for s in others)
    return len(others) < len(statements) and simple and sum(not _claims(s) for s in others) <= BESIDE_REVEAL


def _calls(statement: ast.stmt, name: str) -> bool:
    """Whether a statement is `name(…)`, or `display` of such calls only."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return False
    return call.func.id == name or (call.func.id == "display" and all(_calls(ast.Expr(a), name) for a in call.args))


def _claims(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.For | ast.With):
        return all(map(_claims, statement.body))
    return _calls(statement, "claim")
