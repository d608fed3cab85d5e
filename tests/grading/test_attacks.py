"""Hostile submissions: each earns what it deserves and no more, its neighbours keep all theirs, and nothing is left.

All of them are graded in one batch, with an honest learner between any two, as a class would be. An attack is the
source of one answer; beside it stands a second answer, right and harmless, whose points must survive.
"""

import copy
import json
import os
import secrets
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from nnopt_lab.grading import batch, sandbox, sources, submissions
from nnopt_lab.grading.gradebook import Gradebook
from nnopt_lab.grading.pool import Settings
from nnopt_lab.workbench.paths import PACKAGE, root
from tests.grading.classroom import (
    ATTACKED,
    HONEST_POINTS,
    LESSON,
    QUIET,
    RIGHT,
    RIGHT_QUIET,
    adopt_orphans,
    descendants,
    hand_in,
    honest,
    linux,
    notebook,
    once_per_run,
)

pytestmark = linux
SECONDS = 2
LATER = 1  # seconds after which a detached process writes
MARK = f"nnopt-attack-was-here-{secrets.token_hex(4)}"
SECRET = "nnopt-secret-of-the-teacher"
WEIGHT, CLOSE = "zeros = lambda w: torch.zeros(len(w))", "def l1_importance(weight):\n    return zeros(weight)"


def wrong(text: str) -> str:
    """An attack followed by an answer of zeros: if the attack works, zeros pass."""
    return f"{textwrap.dedent(text).strip()}\n{WEIGHT}\n{CLOSE}"


def inside(text: str) -> str:
    """An attack made when the function is called; it must set `result`, or zeros are returned."""
    return (
        "def l1_importance(weight):\n    result = torch.zeros(len(weight))\n"
        + textwrap.indent(textwrap.dedent(text).strip(), "    ")
        + "\n    return result"
    )


def then_right(text: str) -> str:
    """A nuisance followed by the right answer, which keeps its points."""
    return f"{textwrap.dedent(text).strip()}\n{RIGHT}"


# name: (source of the attacked answer, its points, its state or None where several are right)
ANSWERS = {
    # patched comparison and tensor methods
    "patched tensor comparison": (
        wrong("""
            torch.Tensor.__eq__ = torch.Tensor.__ne__ = lambda a, b: torch.ones(a.shape, dtype=torch.bool)
            torch.equal = torch.allclose = torch.isclose = lambda *a, **k: True
            torch.Tensor.equal = torch.Tensor.allclose = lambda *a, **k: True"""),
        0,
        "failed",
    ),
    "patched tensor methods": (
        wrong("""
            torch.Tensor.any = lambda self, *a: False
            torch.Tensor.double = lambda self: torch.zeros(1)
            torch.Tensor.nonzero = lambda self: []"""),
        0,
        "failed",
    ),
    "patched builtins": (
        wrong("""
            import builtins
            builtins.all = lambda x: True
            builtins.any = lambda x: False
            builtins.isinstance = lambda *a: True
            builtins.abs = lambda x: 0
            builtins.len = lambda x: 1"""),
        0,
        None,
    ),
    "patched packing of the reply": (
        wrong("""
            import sys
            codec = sys.modules["codec"]
            codec.pack = lambda header, value: b"passed"
            sys.modules["answer"].reply_to = lambda job: b"passed" """),
        0,
        "crashed",
    ),
    "patched safetensors": (
        wrong("""
            import sys
            sys.modules["codec"].save = lambda tensors: b"{}" """),
        0,
        "crashed",
    ),
    # lying objects and subclasses
    "an object equal to everything": (
        inside("""
            class Yes:
                def __eq__(self, other): return True
                def __sub__(self, other): return 0
                def __float__(self): return 0.0
                shape = property(lambda self: (3,))
            result = Yes()"""),
        0,
        "failed",
    ),
    "a tensor subclass that agrees": (
        inside("""
            class Yes(torch.Tensor):
                @classmethod
                def __torch_function__(cls, function, types, args=(), kwargs=None): return True
            result = torch.zeros(len(weight)).as_subclass(Yes)"""),
        0,
        "failed",
    ),
    "numbers that lie": (
        inside("""
            class Yes(float):
                def __eq__(self, other): return True
                __sub__ = __rsub__ = lambda self, other: 0.0
            result = [Yes(0) for _ in range(len(weight))]"""),
        0,
        "failed",
    ),
    "a list that lies about its length": (
        inside("""
            class Yes(list):
                def __len__(self): return 10**9
            result = Yes()"""),
        0,
        "failed",
    ),
    "a pretended pass": (inside("result = {'state': 'passed', 'points': 100}"), 0, "failed"),
    "meta tensor": (inside("result = torch.zeros(len(weight), device='meta')"), 0, "failed"),
    "sparse tensor": (inside("result = weight.abs().sum((1, 2, 3)).to_sparse()"), 0, "failed"),
    "an endless list": (inside("result = []\nresult.append(result)"), 0, "failed"),
    # frame, gc and source peeking
    "frame peeking": (
        inside("""
            import sys
            frame = sys._getframe()
            while frame is not None:
                for name, value in {**frame.f_globals, **frame.f_locals}.items():
                    if name in ("wanted", "reference", "exercise", "expected", "solution"):
                        result = value(weight) if callable(value) else value
                frame = frame.f_back"""),
        0,
        "failed",
    ),
    "gc peeking": (
        inside("""
            import gc
            for thing in gc.get_objects():
                try:
                    if getattr(thing, "reference", None) is not None and callable(thing.reference):
                        result = thing.reference(weight)
                    if type(thing).__name__ == "function" and "importance" in thing.__name__:
                        if thing.__name__ != "l1_importance": result = thing(weight)
                except Exception: pass"""),
        0,
        "failed",
    ),
    "source peeking": (
        inside("""
            import inspect, sys
            for module in list(sys.modules.values()):
                try: text = inspect.getsource(module)
                except Exception: continue
                if "def magnitude_mask" in text or "declare(" in text and "pruning" in text:
                    exec(text, globals()); result = importance(weight, norm=1, per="filter")"""),
        0,
        None,
    ),
    "importing the course": (
        "from nnopt_lab.techniques.pruning import importance\n"
        + inside("result = importance(weight, norm=1, per='filter')"),
        0,
        "raised",
    ),
    "importing the declarations": (
        inside("""
            import importlib
            for name in ("nnopt_lab", "nnopt_lab.lessons.pruning.exercises", "nnopt_lab.techniques.pruning"):
                try: result = importlib.import_module(name).l1_importance(weight)
                except ImportError: pass"""),
        0,
        "failed",
    ),
    "memory of a neighbour": (
        # An honest neighbour was graded just before: is anything of that answer still in the inherited memory? (Written
        # so that this attack does not find its own text.)
        inside(f"""
            import gc
            held = [o for o in gc.get_objects() if type(o) in (dict, list, tuple)]
            held = [list(o.values()) if type(o) is dict else o for o in held]
            texts = [text for values in held for text in values if type(text) is str]
            wanted = ["".join(["sum(dim=", "(1, 2"]), "".join(reversed({RIGHT.splitlines()[1].strip()[::-1]!r}))]
            found = [text for text in texts if any(piece in text for piece in wanted)]
            if found: result = weight.abs().sum((1, 2, 3))"""),
        0,
        "failed",
    ),
    # modules and import hooks
    "swapped modules": (
        wrong("""
            import sys, types
            for name in ("codec", "answer", "linux_sandbox", "json", "struct", "safetensors.torch"):
                sys.modules[name] = types.ModuleType(name)"""),
        0,
        None,
    ),
    "an import hook": (
        wrong("""
            import sys
            class Hook:
                def find_spec(self, name, path=None, target=None):
                    raise ImportError("no more imports")
            sys.meta_path.insert(0, Hook())
            sys.path_hooks.clear()"""),
        0,
        "failed",
    ),
    # memorised, random, empty answers
    "zeros": (inside("pass"), 0, "failed"),
    "the input": (inside("result = weight"), 0, "failed"),
    "a memorised answer": (inside("result = torch.tensor([1.5, 2.25, 3.0])[: len(weight)]"), 0, "failed"),
    "random answers": (inside("result = torch.rand(len(weight)) * 4"), 0, "failed"),
    "nothing": (inside("result = None"), 0, "failed"),
    # reading solutions
    "solutions by their paths": (
        inside(f"""
            import glob, os
            for place in ({str(root())!r}, {str(PACKAGE)!r}, os.path.expanduser("~"), "..", "/", "/home", "/root"):
                for path in glob.glob(place + "/**/*.py", recursive=True)[:100_000]:
                    if "site-packages" in path or "/lib/python3" in path: continue
                    text = open(path).read()
                    if "l1_importance" in text and "sandboxed" not in path: result = weight.abs().sum((1, 2, 3))"""),
        0,
        None,
    ),
    "solutions through a link": (
        inside(f"""
            import os, tempfile
            for n, target in enumerate(({str(root())!r}, "/proc/1/root", "/")):
                link = os.path.join(tempfile.mkdtemp(), f"link{{n}}")
                os.symlink(target, link)
                if os.path.exists(link + "/solutions/{LESSON}.py"): result = weight.abs().sum((1, 2, 3))"""),
        0,
        "failed",
    ),
    "solutions through proc": (
        inside("""
            import glob
            found = []
            for name in ("root", "environ", "cmdline", "mem", "cwd"):
                found += glob.glob("/proc/*/" + name + ("/*" if name in ("root", "cwd") else ""))
            if found: result = weight.abs().sum((1, 2, 3))"""),
        0,
        "failed",
    ),
    "solutions through open descriptors": (
        inside("""
            import os
            for number in list(range(4, 1000)):
                try: os.fstat(number)
                except OSError: continue
                result = weight.abs().sum((1, 2, 3))"""),
        0,
        "failed",
    ),
    "the teacher's environment": (
        inside(f"""
            import os
            print(os.environ)
            if {SECRET!r} in str(os.environ): result = weight.abs().sum((1, 2, 3))"""),
        0,
        "failed",
    ),
    # exits, signals, kills
    "sys.exit at the top": ("import sys\nsys.exit(0)\n" + RIGHT, 0, "raised"),
    "sys.exit in the function": (inside("import sys; sys.exit(0)"), 0, "raised"),
    "os._exit": ("import os\nos._exit(0)\n" + RIGHT, 0, "crashed"),
    "os.abort": ("import os\nos.abort()", 0, "crashed"),
    "killing itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n" + RIGHT, None, None),
    "killing the parent": (then_right("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"), None, None),
    "killing everyone": (
        then_right("""
            import os, signal
            for pid in (-1, 0, *range(2, 70_000)):
                try: os.kill(pid, signal.SIGKILL)
                except OSError: pass"""),
        2,
        "passed",
    ),
    "tracing": (
        then_right("""
            import ctypes
            libc = ctypes.CDLL(None)
            for pid in range(1, 300): libc.ptrace(16, pid, 0, 0)"""),
        2,
        "passed",
    ),
    # detached late writers
    "a detached process": (
        inside(f"""
            import os, time
            if os.fork() == 0:
                os.setsid(); time.sleep({LATER}); open("/tmp/{MARK}", "w").close(); os._exit(0)"""),
        0,
        "raised",
    ),
    "a late thread": (
        inside("""
            import threading, time
            def later():
                time.sleep(0.2)
                import os
                try: os.write(3, bytes(1000))
                except OSError: pass
            threading.Thread(target=later).start()"""),
        0,
        None,
    ),
    # loops
    "an endless loop": ("while True: pass", 0, "timed out"),
    "a loop deaf to signals": (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\n"
        "for n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\nwhile True: pass",
        0,
        "timed out",
    ),
    "a loop that catches everything": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        0,
        "timed out",
    ),
    "a loop inside C": ("x = 9 ** 9 ** 9", 0, "timed out"),
    "a sleep": (inside("import time; time.sleep(1000)"), 0, "timed out"),
    # floods
    "memory in python": ("x = []\nwhile True: x.append(bytearray(1 << 24))", 0, "out of memory"),
    "memory in torch": (inside("x = [torch.ones(1 << 24) for _ in range(1000)]"), 0, "out of memory"),
    "shared memory": ("import mmap\nx = [mmap.mmap(-1, 1 << 28) for _ in range(1000)]", 0, None),
    "disk": (
        then_right(f"""
            import os, tempfile
            home = os.path.expanduser("~")
            for place in (tempfile.gettempdir(), "/", "/usr/lib", "/sandboxed", {str(root())!r}, home):
                try:
                    with open(os.path.join(place, "{MARK}"), "wb") as file:
                        while True: file.write(bytes(1 << 20))
                except OSError: pass"""),
        2,
        "passed",
    ),
    "many files": (
        then_right("""
            import os, tempfile
            try:
                for n in range(10**6): open(os.path.join(tempfile.gettempdir(), str(n)), "w").close()
            except OSError: pass"""),
        2,
        "passed",
    ),
    "descriptors": (
        then_right("""
            import os
            kept = []
            try:
                while True: kept.append(open("/dev/null"))
            except OSError: pass"""),
        2,
        "passed",
    ),
    "a fork bomb": (
        then_right("""
            import os
            try:
                while True: os.fork()
            except OSError: pass"""),
        2,
        "passed",
    ),
    "a thread bomb": (
        then_right("""
            import threading, time
            try:
                while True: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
            except RuntimeError: pass"""),
        None,
        None,
    ),
    "a crowd of threads that stays": (
        then_right("""
            import ctypes, threading, time
            ctypes.CDLL(None).mallopt(-8, 1)
            threading.stack_size(1 << 15)
            try:
                for _ in range(6_000): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
            except RuntimeError: pass"""),
        2,
        "passed",
    ),
    "a result of many dimensions": (inside("result = torch.zeros([2] * 22, dtype=torch.bool)"), 0, "failed"),
    "output": (
        then_right("""
            import os, sys
            for _ in range(200): print("x" * 1_000_000); sys.stderr.write("y" * 1_000_000)
            for _ in range(200): os.write(1, bytes(1 << 20)); os.write(2, bytes(1 << 20))"""),
        2,
        "passed",
    ),
    "a result too large": (inside("result = torch.zeros(1 << 23)"), 0, "out of memory"),  # 16 results of 32 MiB
    "results too long together": (inside("result = torch.zeros(5 << 16)"), 0, "crashed"),  # 16 of 1.25 MiB
    # sockets
    "the network": (
        inside("""
            import socket
            socket.create_connection(("127.0.0.1", 80), timeout=1)"""),
        0,
        "raised",
    ),
    "a unix socket": (inside("import socket; socket.socket(socket.AF_UNIX).bind('\\0x')"), 0, "raised"),
    "a program": (inside("import subprocess; subprocess.run(['/bin/sh', '-c', 'id'])"), 0, "raised"),
    # forged replies
    "a forged reply": (
        "import os, struct\n"
        'text = b\'[{"outcomes": [], "printed": "passed"}, ["v", true]]\'\n'
        'body = struct.pack(">I", len(text)) + text\nos.write(3, struct.pack(">Q", len(body)) + body)\nos._exit(0)',
        0,
        "failed",
    ),
    "a reply without an end": ('import os\nos.write(3, b"\\x7f" + bytes(7))\nos._exit(0)', 0, "crashed"),
    "a reply that trickles": (
        "import os, struct, time\nos.write(3, struct.pack('>Q', 10_000))\n"
        "while True: os.write(3, b'x'); time.sleep(0.1)",
        0,
        "timed out",
    ),
    "a reply nested without end": (
        'import os, struct\ntext = b\'[{"outcomes": [{}]}, \' + b"[" * 500_000\n'
        'body = struct.pack(">I", len(text)) + text\nos.write(3, struct.pack(">Q", len(body)) + body)\nos._exit(0)',
        0,
        "crashed",
    ),
    "one tensor many times": (
        "import os, sys, json, struct, torch\n"
        "tensors = sys.modules['codec'].save({'0': torch.zeros([7] * 6, dtype=torch.bool)})\n"
        "tree = json.dumps([{'outcomes': [{}] * 16}, ['l', [['l', [['x', '0'], ['l', []]]]] * 16]]).encode()\n"
        "body = struct.pack('>I', len(tree)) + tree + tensors\n"
        "os.write(3, struct.pack('>Q', len(body)) + body)\nos._exit(0)",
        0,
        "crashed",
    ),
    "a reply of endless texts": (
        "import os, sys, struct\n"
        "body = sys.modules['codec'].pack({'outcomes': [{}] * 16, 'printed': 'x' * 14_000_000}, [])\n"
        "body = memoryview(struct.pack('>Q', len(body)) + body)\n"
        "while body: body = body[os.write(3, body):]\nos._exit(0)",
        0,
        "crashed",
    ),
    "a reply of endless digits": (
        'import os, struct\ntext = b\'[{"outcomes": [{}]}, ["v", \' + b"9" * 5_000_000 + b"]]"\n'
        'body = struct.pack(">I", len(text)) + text\nos.write(3, struct.pack(">Q", len(body)) + body)\nos._exit(0)',
        0,
        "crashed",
    ),
    "a pickle in the reply": (
        inside(f"""
            import os
            class Bomb:
                def __reduce__(self): return (os.system, ("touch /tmp/{MARK}",))
            result = Bomb()"""),
        0,
        "failed",
    ),
    "a pickle on the wire": (
        "import os, pickle, struct\nclass Bomb:\n    def __reduce__(self): return (exec, ('raise SystemExit',))\n"
        "body = pickle.dumps(Bomb())\nos.write(3, struct.pack('>Q', len(body)) + body)\nos._exit(0)",
        0,
        "crashed",
    ),
    "hanging up": ("import os, time\nos.close(3)\ntime.sleep(1000)", 0, "crashed"),
    # crashes and code that can't be compiled
    "a crash in C": ("import ctypes\nctypes.string_at(0)", 0, "crashed"),
    "recursion without end": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef l1_importance(weight): return l1_importance(weight)",
        0,
        None,
    ),
    "a nest of brackets": ("x = " + "(" * 90_000, 0, "raised"),
    "a nest of operators": ("x = " + "-" * 90_000 + "1", 0, None),
    "a null byte": ("x = 1\0\n" + RIGHT, 0, "raised"),
    "half a character": ("x = '\ud800'\n" + RIGHT, None, None),
    # IPython
    "a magic": ("%%bash\ntouch /tmp/" + MARK, 0, "raised"),
    "a line magic": ("%run /etc/passwd\n" + RIGHT, 0, "raised"),
    "a shell escape": ("!touch /tmp/" + MARK + "\n" + RIGHT, 0, "raised"),
    # privileges
    "namespaces and mounts": (
        then_right("""
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.unshare(0x10000000) and libc.unshare(0x20000) and libc.mount(b"x", b"/", b"tmpfs", 0, None)
            assert libc.setuid(0) or True
            libc.prctl(38, 0, 0, 0, 0); libc.prctl(4, 1, 0, 0, 0)"""),
        2,
        "passed",
    ),
}


def _tampered() -> dict:
    """A patch in a cell of its own, and points written into the metadata."""
    content = notebook({QUIET: RIGHT_QUIET})
    patch = {"cell_type": "code", "id": "aaa", "metadata": {}, "outputs": [], "execution_count": 1}
    patch["source"] = "import nnopt_lab.course.checking as c\nc.compare = lambda *a: c.Verdict('passed', credit=1.0)"
    content["cells"].insert(0, patch)
    for cell in content["cells"]:
        cell["metadata"]["nbgrader"] = {"points": 1000, "score": 1000, "grade": True}
        cell["metadata"]["nnopt"] = {"points": 1000}
    content["metadata"]["nnopt"] = {"lesson": LESSON, "points": 10**6, "state": "graded"}
    return content


def _changed(id: str, change) -> dict:
    content = honest()
    place = next(i for i, cell in enumerate(content["cells"]) if cell["id"] == id)
    change(content["cells"], place)
    return content


CELL = "exercise-pruning-l1_importance"
FILES = {
    # name: (content, points, state, a word of the reason)
    "tampered cells": (_tampered(), 2, "graded", ""),
    "a doubled cell": (
        _changed(CELL, lambda cells, n: cells.append(dict(cells[n], source="def l1_importance(w): return w"))),
        2,
        "partly graded",
        "more than once",
    ),
    "a doubled cell, twice the same": (
        _changed(CELL, lambda cells, n: cells.append(copy.deepcopy(cells[n]))),
        4,
        "graded",
        "",
    ),
    "a missing cell": (_changed(CELL, lambda cells, n: cells.pop(n)), 2, "partly graded", "missing from the notebook"),
    "a mistyped cell": (
        _changed(CELL, lambda cells, n: cells[n].update(cell_type="markdown")),
        2,
        "partly graded",
        "not a code cell",
    ),
    "a source that is a number": (
        _changed(CELL, lambda cells, n: cells[n].update(source=5)),
        2,
        "partly graded",
        "code",
    ),
    "a list for an id": (
        _changed(CELL, lambda cells, n: cells[n].update(id=["x"], metadata=None)),
        4,  # found by its function's name
        "graded",
        "",
    ),
    "a source too long": (
        _changed(CELL, lambda cells, n: cells[n].update(source="#" * 200_000 + "\n" + RIGHT)),
        2,
        "partly graded",
        "too long",
    ),
    "questions with every choice": (
        notebook({QUIET: RIGHT_QUIET, "pruning.l1_or_l2": 'question("pruning.l1_or_l2", "abc")'}),
        2,
        "graded",
        "",
    ),
    "a question's answer that agrees": (
        notebook(
            {
                QUIET: RIGHT_QUIET,
                "pruning.l1_or_l2": "class Yes(str):\n    def __eq__(self, other): return True\n"
                "    __hash__ = str.__hash__\n    def strip(self): return 'b'\nquestion('pruning.l1_or_l2', Yes('a'))",
            }
        ),
        2,
        "graded",
        "",
    ),
    "no cells": (b'{"cells": {}}', 0, "malformed", "no list of cells"),
    "another notebook": (b'{"cells": [{"cell_type": "code", "id": "x", "source": "1"}]}', 0, "malformed", "no answer"),
    "bad json": (b'{"cells": [', 0, "malformed", "not JSON"),
    "deep json": (b'{"cells":' + b"[" * 300_000 + b"]" * 300_000 + b"}", 0, "malformed", "deep"),
    "endless brackets": (b"[" * 3_000_000, 0, "malformed", "too many brackets"),
    "endless digits": (b'{"cells": [' + b"9" * 2_000_000 + b"]}", 0, "malformed", "not JSON"),
    "not text": (bytes(range(256)) * 10, 0, "malformed", "UTF-8"),
    "an empty file": (b"", 0, "malformed", "not JSON"),
    "a huge file": (b" " * (submissions.MAX_BYTES + 1), 0, "malformed", "larger"),
}
ODD = ("a link to the solution", "a pipe", "a folder", "a socket")


def _odd_files(folder: Path) -> None:
    """What lies where a notebook should lie, and is none."""
    for name in ODD:
        (folder / name).mkdir()
    (folder / ODD[0] / f"{LESSON}.ipynb").symlink_to(root() / "solutions" / f"{LESSON}.ipynb")
    os.mkfifo(folder / ODD[1] / f"{LESSON}.ipynb")
    (folder / ODD[2] / f"{LESSON}.ipynb").mkdir()
    os.mknod(folder / ODD[3] / f"{LESSON}.ipynb", stat.S_IFSOCK | 0o600)


def _state_of_the_machine() -> dict:
    places = [Path("/"), Path.home(), root(), Path("/tmp")]
    return {
        "processes": descendants(),
        "mounts": Path("/proc/mounts").read_text(),
        "files": sorted(str(path) for place in places for path in place.glob(f"*{MARK}*")),
    }


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    return once_per_run(tmp_path_factory, "attacks", lambda: _grade(tmp_path_factory))


def _grade(tmp_path_factory) -> dict:
    """Every attack in one batch, an honest learner before and after each: {learner: grade}."""
    folder = tmp_path_factory.mktemp("class")
    contents = {name: notebook({ATTACKED: source, QUIET: RIGHT_QUIET}) for name, (source, *_) in ANSWERS.items()}
    contents |= {name: content for name, (content, *_) in FILES.items()}
    for number, (name, content) in enumerate(contents.items()):
        hand_in(folder, f"{number:03d} {name}", content)
        hand_in(folder, f"{number:03d}~ honest", honest())
    _odd_files(folder)
    adopt_orphans()
    before = _state_of_the_machine()
    book = Gradebook(tmp_path_factory.mktemp("out"))
    os.environ["NNOPT_TEST_SECRET"] = SECRET
    settings = Settings(sandbox.available(), sandbox.Limits(SECONDS, 256), LESSON)
    try:
        batch.grade_all(sources.find([folder]), book, settings, jobs=2)
    finally:
        del os.environ["NNOPT_TEST_SECRET"]
    entries = {entry.learner: entry.graded for entry in book.entries()}
    book.close()
    return {
        "grades": {name.partition(" ")[2] if name[0].isdigit() else name: g for name, g in entries.items()},
        "honest": {name: g for name, g in entries.items() if name.endswith("~ honest")},
        "before": before,
        "after": _later_state(),
    }


def _later_state() -> dict:
    time.sleep(LATER + 1)
    return _state_of_the_machine()


def _points(grade) -> float:
    return sum(result.points for result in grade.results)


def _result(grade, id):
    return next(result for result in grade.results if result.id == id)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_attack_earns_what_it_deserves(graded, name):
    _, points, state = ANSWERS[name]
    grade = graded["grades"][name]
    result = _result(grade, ATTACKED)
    # Where the nuisance may or may not end the worker, the answer behind it is right and may earn its own points.
    assert result.points in ((0, 2) if points is None else (points,)), result
    assert state is None or result.state == state, result
    assert result.state == "passed" or result.mistake
    assert _result(grade, QUIET).points == 2
    assert _points(grade) == result.points + 2
    assert SECRET not in result.printed


@pytest.mark.parametrize("name", FILES)
def test_a_forged_file_earns_what_it_deserves(graded, name):
    _, points, state, word = FILES[name]
    grade = graded["grades"][name]
    assert (_points(grade), grade.state) == (points, state), grade.reason
    assert word in grade.reason
    assert bool(grade.reason) == (state != "graded")


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_file_is_not_opened(graded, name):
    assert graded["grades"][name].state == "malformed"
    assert graded["grades"][name].reason


def test_every_neighbour_keeps_all_points(graded):
    assert len(graded["honest"]) == len(ANSWERS) + len(FILES)
    assert {_points(grade) for grade in graded["honest"].values()} == {HONEST_POINTS}
    assert {grade.state for grade in graded["honest"].values()} == {"graded"}


def test_nothing_is_left(graded):
    assert graded["after"] == graded["before"]


def test_there_are_at_least_forty_attacks():
    assert len(ANSWERS) + len(FILES) + len(ODD) >= 40


NAIVE = """
import json, os, sys, torch

def passes(answer):
    weight = torch.rand(3, 2, 2, 2)
    reference = lambda w: w.abs().sum((1, 2, 3))
    wanted, scope = reference(weight), {"torch": torch}
    exec(answer, scope)
    return torch.equal(scope["l1_importance"](weight), wanted)

for answer in json.loads(sys.argv[1]):
    if (pid := os.fork()) == 0:  # what one answer patches, the next one must not meet
        os._exit(passes(answer))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_judge_that_runs_answers_in_its_own_process_would_fall_for_some():
    answers = [RIGHT, *(ANSWERS[name][0] for name in ("zeros", "patched tensor comparison", "frame peeking"))]
    done = subprocess.run([sys.executable, "-c", NAIVE, json.dumps(answers)], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "0", "1", "1"], done.stderr
