"""`make mutants`: change the core in every small way that there is, and name the changes that no test notices.

mutmut makes the changes and runs, for each, the tests that come to the changed function. It wants sources under `src`
and makes its copies beside them: both are under build/mutants, and the checkout is only read. The mutants that live
with a reason are in docs/verification.md.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYOUT = ROOT / "build" / "mutants"
TOOLS = Path(sys.prefix) / "bin"

SOURCES = ("operator/src", "worker/src")
COPIED = ("tests", "crds", "examples", "charts", "scripts", "docs")
CORE = "crewcall_operator.core"

#: Whose tests reckon with the core alone: neither the engine's tests nor whatever starts a server tells more of it.
TESTS = [
    "behavior",
    "crew",
    "decide",
    "decide_always",
    "decide_scheduled",
    "estimate",
    "flow",
    "hpa",
    "leaving",
    "ledger",
    "memory",
    "policy",
    "promise",
    "saturation",
    "schedule",
    "sizing",
    "staffing",
    "startups",
    "victims",
    "wording",
    "work",
]
LEADERSHIP = "tests/simulation/test_leadership.py"

#: A mutant's process is forked from one that has run the tests: what that has kept must not answer for the mutant.
#: Few examples, always the same: some hundred runs of each property, and one verdict however often it is asked for.
PLUGIN = """
import gc
from functools import _lru_cache_wrapper

from hypothesis import HealthCheck, settings


def pytest_sessionstart():
    for cached in gc.get_objects():
        if isinstance(cached, _lru_cache_wrapper):
            cached.cache_clear()
    settings.register_profile(
        "mutants",
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=15,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("mutants")
"""

#: mutmut leaves decorated functions as they are. An answer that is kept is the same one that is made anew.
KEEPS_ANSWERS = re.compile(r"^@lru_cache.*\n", re.MULTILINE)

PYTEST = """[pytest]
pythonpath = . src
addopts = --strict-markers --import-mode=importlib -p no:cacheprovider -p mutants_plugin
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers =
    slow: too long for this
    pods: needs a cluster
"""


def lay_out() -> None:
    """Copy the checkout to where mutmut wants it, with nothing left of an earlier run."""
    shutil.rmtree(LAYOUT, ignore_errors=True)
    for source in SOURCES:
        shutil.copytree(ROOT / source, LAYOUT / "src", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (LAYOUT / "src" / CORE.replace(".", "/")).glob("*.py"):
        module.write_text(KEEPS_ANSWERS.sub("", module.read_text()))
    for folder in COPIED:
        shutil.copytree(ROOT / folder, LAYOUT / folder, ignore=shutil.ignore_patterns("__pycache__"))
    tests = [*(f"tests/unit/test_{name}.py" for name in TESTS), LEADERSHIP]
    settings = {
        "source_paths": ["src/crewcall_operator/core/"],
        "also_copy": ["src", *COPIED, "mutants_plugin.py", "pytest.ini"],
        "pytest_add_cli_args_test_selection": tests,
    }
    lines = [f"{name}=\n    " + "\n    ".join(values) for name, values in settings.items()]
    (LAYOUT / "setup.cfg").write_text("\n".join(["[mutmut]", *lines, ""]))
    (LAYOUT / "mutants_plugin.py").write_text(PLUGIN)
    (LAYOUT / "pytest.ini").write_text(PYTEST)


def survivors(names: str) -> list[str]:
    """The mutants that lived, or that no test comes to, as mutmut tells of them."""
    told = _mutmut("results").stdout
    return re.findall(rf"^\s*({re.escape(names)}\S*): (?:survived|no tests|suspicious)$", told, re.MULTILINE)


def main(module: str = "") -> int:
    """Run the mutants of one module of the core, or of all. Returns 1 where some survived."""
    names = f"{CORE}.{module}." if module else f"{CORE}."
    if module and not (ROOT / "operator/src" / CORE.replace(".", "/") / f"{module}.py").is_file():
        print(f"mutants: no module {module!r} in the core; leave MODULE out, or name a file there without its .py")
        return 2
    lay_out()
    ran = subprocess.run([TOOLS / "mutmut", "run", "--max-children", "1", f"{names}*"], cwd=LAYOUT, check=False)
    if ran.returncode:
        return ran.returncode
    found = survivors(names)
    for name in found:
        print(_mutmut("show", name).stdout)
    print(f"mutants: {len(found)} survived")
    return 1 if found else 0


def _mutmut(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TOOLS / "mutmut", *arguments], cwd=LAYOUT, capture_output=True, text=True, check=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
