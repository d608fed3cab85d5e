"""A pytest plugin that reports the notebooks' claims on measured times at the end, in words.

nbval compares them with nothing, because another program may disturb a measurement. The summary says how many are true,
false and not judged; on GitHub it is also written to the job's summary page.
"""

import json
import os
from pathlib import Path

import pytest

PROPERTY = "timing_claims"
STATES = {"true": True, "false": False, "not judged: busy": "not judged: busy", "not about this machine": None}


class TimingClaims:
    def __init__(self):
        self.found: dict[str, dict] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        try:
            return (yield)
        finally:
            if "claim(" in getattr(getattr(item, "cell", None), "source", ""):
                item.user_properties.append((PROPERTY, _claims(Path(os.environ["NNOPT_WORKSPACE"]))))

    def pytest_runtest_logreport(self, report):
        """Called where the reports come together, also if the notebooks ran in other processes."""
        for name, claims in report.user_properties:
            if name == PROPERTY:
                for lesson, states in claims.items():
                    self.found.setdefault(lesson, {}).update(states)

    def pytest_terminal_summary(self, terminalreporter):
        if lines := summary(self.found):
            terminalreporter.write_sep("=", "claims on measured times")
            for line in lines:
                terminalreporter.write_line(line)
            if page := os.environ.get("GITHUB_STEP_SUMMARY"):
                with open(page, "a", encoding="utf-8") as file:
                    file.write("\n".join(["### Claims on measured times", "", *lines, ""]))


def summary(found: dict[str, dict]) -> list[str]:
    """The counts in one line, and a line for each claim that is false or was not judged; nothing if there is no claim.

    Args:
        found: {lesson: {text: state}}, as in a record of progress.
    """
    claims = [(lesson, text, state) for lesson, states in found.items() for text, state in states.items()]
    if not claims:
        return []
    counts = {name: sum(state is wanted or state == wanted for *_, state in claims) for name, wanted in STATES.items()}
    listed = [
        f"- {lesson}: {'✘' if state is False else '○'} {text}"
        for lesson, text, state in claims
        if state not in (True, None)
    ]
    return [", ".join(f"{count} {name}" for name, count in counts.items()) + ".", *listed]


def _claims(folder: Path) -> dict:
    try:
        return json.loads((folder / "progress.json").read_text(encoding="utf-8")).get(PROPERTY, {})
    except (OSError, ValueError):
        return {}
