"""``freezethreads run``: what is handed on to the processes that a program starts."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from control_programs import Program
from control_programs import runtime as runtime
from freezethreads.cli import _children, _startup
from freezethreads.control import connect
from helpers import ROOT, WAIT, run_python
from running import RUN, python, run

STARTUP = Path(_startup.__file__).with_name("sitecustomize.py")

# What a process says of itself, whatever it was started by.
TELL = """
import json, os, sys, time
def tell(threads=True):
    import freezethreads
    print(json.dumps({
        "enrolled": [(info.name, info.group) for info in freezethreads.threads()],
        "patched": time.sleep.__name__ != "sleep" or hasattr(time.sleep, "__wrapped__"),
        "path": [path for path in sys.path if "_startup" in path],
    }), flush=True)
"""
BEGUN = {"enrolled": [["MainThread", ""]], "patched": True, "path": []}
LEFT_ALONE = {"enrolled": [], "patched": False, "path": []}

PARENTS = {
    "spawn": """
import multiprocessing
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=tell.tell)
    child.start()
    child.join()
""",
    "forkserver": """
import multiprocessing
if __name__ == "__main__":
    child = multiprocessing.get_context("forkserver").Process(target=tell.tell)
    child.start()
    child.join()
""",
    "a pool": """
import concurrent.futures, multiprocessing
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(tell.tell).result()
""",
    "a process": """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import tell; tell.tell()"], check=True)
""",
    "a shell": """
import os, shlex, sys
os.system(shlex.join([sys.executable, "-c", "import tell; tell.tell()"]))
""",
    "exec, as a reloader does": """
import os, sys
if sys.argv[1:]:
    tell.tell()
else:
    os.execv(sys.executable, [sys.executable, *sys.argv, "again"])
""",
    "exec of the whole command, as others do": """
import os, sys
if sys.argv[1:]:
    tell.tell()
else:
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "again"])
""",
    "a child of a child": """
import multiprocessing, subprocess, sys
def again():
    subprocess.run([sys.executable, "-c", "import tell; tell.tell()"], check=True)
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=again)
    child.start()
    child.join()
""",
    "another environment": """
import os, subprocess, sys
env = dict(os.environ, MORE="1")
subprocess.run([sys.executable, "-c", "import tell; tell.tell()"], check=True, env=env)
""",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, where the programs are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tell.py").write_text(TELL)
    return tmp_path


@pytest.mark.parametrize("name", PARENTS)
def test_a_child_begins_as_its_parent_did(folder: Path, name: str) -> None:
    (folder / "script.py").write_text(f"import tell\n{PARENTS[name]}")
    assert json.loads(run("script.py")) == BEGUN


@pytest.mark.parametrize("name", [name for name in PARENTS if "whole command" not in name])
def test_a_child_is_left_alone_if_that_is_asked_for(folder: Path, name: str) -> None:
    (folder / "script.py").write_text(f"import tell\n{PARENTS[name]}")
    assert json.loads(run("--no-children", "script.py")) == LEFT_ALONE


def test_the_command_in_a_child_does_as_it_is_told(folder: Path) -> None:
    """It installs for itself, and not for its own children, if it is told so."""
    (folder / "script.py").write_text(f"import tell\n{PARENTS['a process']}")
    (folder / "outer.py").write_text(f"""
import subprocess, sys
subprocess.run([sys.executable, *{RUN!r}, "-m", "script"], check=True)
subprocess.run([sys.executable, *{RUN!r}, "--no-children", "script.py"], check=True)
subprocess.run([sys.executable, "-mfreezethreads", "--version"], check=True)
""")
    told, alone, version = run("outer.py").splitlines()
    assert (json.loads(told), json.loads(alone)) == (BEGUN, LEFT_ALONE)
    assert version.startswith("freezethreads ")


SERVED = """
import multiprocessing, os, threading, time
def work():
    threading.Thread(target=time.sleep, args=(60,), name="worker", daemon=True).start()
    print(os.getpid(), flush=True)
    time.sleep(60)
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    input()
    child.kill()
    child.join()
"""


def test_a_child_is_served_as_its_parent_is(runtime: Path, folder: Path) -> None:
    """So it can be frozen from outside, with the threads that it starts."""
    (folder / "script.py").write_text(SERVED)
    program = Program(*RUN, "script.py", FREEZETHREADS_CONTROL="1")
    try:
        pid = int(program.line())
        assert pid != program.pid
        with connect(pid) as client:
            client.request("freeze", timeout=WAIT, reason="")
            threads = client.request("threads")["threads"]
            client.request("thaw")
        program.say("enough")
        assert program.end() == (0, "")
    finally:
        program.kill()
    states = {thread["name"]: thread["state"] for thread in threads}
    assert states == {"MainThread": "frozen", "worker": "frozen"}


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_a_child_that_looks_at_no_environment_runs_as_ever(folder: Path, flag: str) -> None:
    (folder / "script.py").write_text(f"""
import subprocess, sys
code = "import sys; print('freezethreads' in sys.modules, 'sitecustomize' in sys.modules)"
subprocess.run([sys.executable, {flag!r}, "-c", code], check=True)
""")
    assert run("script.py") == python(flag, "-c", "print(False, False)").stdout


def test_a_child_of_another_python_runs_as_ever(folder: Path) -> None:
    """One that has no such library, that is."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "other"], check=True, timeout=60)
    (folder / "script.py").write_text("""
import os, subprocess
code = "import sys; print('freezethreads' in sys.modules, [p for p in sys.path if '_startup' in p])"
subprocess.run(["other/bin/python", "-W", "error", "-c", code], check=True)
""")
    assert run("script.py") == "False []\n"


def test_what_any_python_may_run_has_nothing_new_in_it() -> None:
    """Python 3.4 is the oldest that this one can tell of; annotations and f-strings are newer."""
    tree = ast.parse(STARTUP.read_text(), feature_version=(3, 4))
    new = (ast.AnnAssign, ast.JoinedStr, ast.NamedExpr, ast.FunctionDef, ast.Starred)
    assert not [node for node in ast.walk(tree) if isinstance(node, new)]


# Another `sitecustomize`.

SITES = {
    "one that works": "import sys; print('theirs', __file__, __name__)",
    "one that needs what is not there": "import nonsense",
    "one that fails": "1 / 0",
}


@pytest.mark.parametrize("name", SITES)
def test_the_sitecustomize_in_whose_place_it_is_runs_as_ever(folder: Path, name: str) -> None:
    (folder / "theirs").mkdir()
    (folder / "theirs" / "sitecustomize.py").write_text(SITES[name])
    env = {"PYTHONPATH": os.pathsep.join([str(folder / "theirs"), str(ROOT)])}
    plain = python("-c", "import sys; print(sys.modules.get('sitecustomize'))", **env)
    env["PYTHONPATH"] = f"{STARTUP.parent}{os.pathsep}{env['PYTHONPATH']}"
    env["FREEZETHREADS_RUN"] = f"{sys.hexversion:x}:{sys.prefix} {{}}"
    code = "import sys, tell; print(sys.modules.get('sitecustomize')); tell.tell()"
    child = python("-c", code, **env)
    assert child.stdout.startswith(plain.stdout)
    assert json.loads(child.stdout.removeprefix(plain.stdout)) == BEGUN
    assert child.stderr == plain.stderr
    assert bool(child.stderr) == (name != "one that works")


def test_without_another_one_this_one_is_found() -> None:
    env = {"PYTHONPATH": f"{STARTUP.parent}{os.pathsep}{ROOT}"}
    code = (
        "import sitecustomize, sys; print(sitecustomize.__file__, 'freezethreads' in sys.modules)"
    )
    assert python("-c", code, **env).stdout == f"{STARTUP} False\n"


@pytest.mark.parametrize("path", ["", f"{ROOT}{os.pathsep}/nowhere"], ids=["nothing", "it"])
def test_a_child_has_the_path_that_it_has_without_us(
    folder: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Also where the parent has found the library in its current directory, and it would not."""
    script = folder / "script.py"
    script.write_text("""
import subprocess, sys
code = "import sys; print(sys.path)"
subprocess.run([sys.executable, "-P", "-c", code], check=True)
""")
    monkeypatch.chdir(ROOT)
    plain = python(str(script), PYTHONPATH=path)
    assert run(str(script), PYTHONPATH=path) == plain.stdout
    told = script.read_text().replace("print(sys.path)", "print('freezethreads' in sys.modules)")
    script.write_text(told)
    assert run(str(script), PYTHONPATH=path) == "True\n"


# What is asked for.


def test_the_arguments_of_the_installation_are_handed_on(folder: Path) -> None:
    code = """
import subprocess, sys
from freezethreads.cli._children import begin, hand_on
begin(group="io")
hand_on(group="io")
subprocess.run([sys.executable, "-c", "import tell; tell.tell()"], check=True)
"""
    assert json.loads(run_python(code).stdout) == {**BEGUN, "enrolled": [["MainThread", "io"]]}


@pytest.mark.parametrize("path", [None, "", "here", f"here{os.pathsep}there"])
def test_the_environment_is_as_it_was_when_nothing_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    monkeypatch.delenv("FREEZETHREADS_RUN", raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    before = dict(os.environ)
    _children.hand_on()
    once = dict(os.environ)
    _children.hand_on()
    assert dict(os.environ) == once != before
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == str(STARTUP.parent)
    _children.hand_on_nothing()
    _children.hand_on_nothing()
    after = dict(os.environ)
    assert after.pop("PYTHONPATH", "") == before.pop("PYTHONPATH", "")
    assert after == before


def test_what_looks_after_semaphores_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no program, and would be one more process that does not stop."""
    begun: list[dict[str, object]] = []
    monkeypatch.setattr(_children, "begin", lambda **options: begun.append(options))
    monkeypatch.setattr(sys, "argv", ["-c"])
    code = "from multiprocessing.resource_tracker import main;main(5)"
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", code])
    _children.begin_child("{}")
    assert not begun
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", "main()"])
    _children.begin_child('{"group": "io"}')
    assert begun == [{"group": "io"}]


def test_another_interpreter_of_a_child_is_left_alone(folder: Path) -> None:
    (folder / "child.py").write_text("""
import sys
try:
    import _interpreters as interpreters
    made = interpreters.create("isolated")
except ImportError:
    import _xxsubinterpreters as interpreters
    made = interpreters.create(isolated=True)
code = "import sys; print('freezethreads' in sys.modules, flush=True)"
interpreters.run_string(made, code)
interpreters.destroy(made)
exec(code)
""")
    (folder / "script.py").write_text("""
import subprocess, sys
subprocess.run([sys.executable, "child.py"], check=True)
""")
    assert run("script.py") == "False\nTrue\n"
