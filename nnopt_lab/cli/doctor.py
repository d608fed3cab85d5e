"""`nnopt doctor`: what this machine offers the course, what is missing, and what would be faster."""

import importlib.util
import locale
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from nnopt_lab import requirements
from nnopt_lab.course.kit import kit
from nnopt_lab.course.lab_language import missing_pack
from nnopt_lab.environment import CLONE, has_nvidia
from nnopt_lab.workbench import cores
from nnopt_lab.workbench.language import _, counted, translated_sentences

SECONDS_TO_COUNT = 0.4  # for the size of a folder; a larger one is reported as "more than"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "firefox", "microsoft-edge")
VECTORS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx_vnni": "VNNI", "amx_tile": "AMX"}
VECTORS |= {"avx512_bf16": "bf16", "amx_bf16": "bf16", "asimd": "NEON", "sve": "SVE", "i8mm": "I8MM", "bf16": "bf16"}


class Finding(NamedTuple):
    """A row of the table: what was found, and what to do about it ("" if nothing)."""

    label: str
    found: str
    advice: str = ""


def findings(workspace: Path) -> list[Finding]:
    """Look at everything the course uses; a look that fails is a row that says so."""
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        _("Python"): _python,
        _("packages"): _packages,
        _("torch"): _torch,
        _("cores"): _cores,
        _("instructions"): _instructions,
        _("engines"): _engines,
        _("grader's sandbox"): _sandbox,
        _("browser"): _browser,
        _("workspace"): lambda: _workspace(workspace),
        _("disk"): _disk,
        _("language"): _language,
    }
    rows = []
    for label, look in looks.items():
        try:
            rows += look()
        except Exception as error:  # a doctor must not die of what it looks for
            rows.append(
                Finding(label, _("unknown: {error}", error=type(error).__name__), str(error).partition("\n")[0])
            )
    return rows


def _python() -> Iterator[Finding]:
    here = {"version": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    if sys.prefix != sys.base_prefix:
        yield Finding(_("Python"), _("{version} on {system}, in an environment", **here))
    else:
        yield Finding(_("Python"), _("{version} on {system}, in no environment", **here))


def _packages() -> Iterator[Finding]:
    pyproject = CLONE / "pyproject.toml"
    lines = requirements.requirements(pyproject) if pyproject.is_file() else requirements.of_installed_package()
    missing = [requirements.distribution(line) for line in requirements.unsatisfied(lines)]
    count = _("{count} of {total}", count=len(lines) - len(missing), total=len(lines))
    yield Finding(_("packages"), count, _missing(missing) if missing else "")


def _torch() -> Iterator[Finding]:
    import torch

    build = "CPU" if torch.version.cuda is None and getattr(torch.version, "hip", None) is None else "GPU"
    threads = torch.get_num_threads()
    count = counted(threads, "{count} thread", "{count} threads")
    about = _("{version}, the {build} build, {threads}", version=torch.__version__, build=build, threads=count)
    yield Finding(_("torch"), about)
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator().type
        name = torch.cuda.get_device_name() if kind == "cuda" else kind
        yield Finding(_("accelerator"), f"{name} ({kind})")
    elif has_nvidia():
        cure = _("update the driver")
        if build == "CPU":
            cure = _("install torch's CUDA build: lesson 13 and --device accelerator use it")
        yield Finding(_("accelerator"), _("an NVIDIA driver, which torch cannot use"), cure)
    else:
        yield Finding(_("accelerator"), _("none; the course needs none"))


def _cores() -> Iterator[Finding]:
    usable, there, limit = cores.usable_cores(), os.cpu_count() or 1, cores.quota()
    found = _("{usable} usable of {total}", usable=usable, total=there)
    if limit is not None:
        found = _("{cores}; the container's quota is {quota}", cores=found, quota=f"{limit:.3g}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    advice = _("two cores would be faster") if usable < 2 else ""
    if load > there + 1:
        advice = _("other programs are running (load {load}): timings will vary", load=f"{load:.0f}")
    yield Finding(_("cores"), found, advice)


def _instructions() -> Iterator[Finding]:
    flags = _processor_flags()
    found = list(dict.fromkeys(name for flag, name in VECTORS.items() if flag in flags))
    is_fast = not flags or {"VNNI", "AMX", "I8MM"} & set(found)
    slow = "" if is_fast else _("without VNNI, int8 gains little (lesson 08)")
    yield Finding(_("instructions"), ", ".join(found) or _("unknown"), slow)


def _processor_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    words = next((line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features"))), "")
    return set(words.split())


def _engines() -> Iterator[Finding]:
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("g++", "clang++", "c++", "cl")), "")
    cures = {
        "ONNX Runtime": "" if _is_there("onnxruntime") else "pip install onnxruntime",
        "torch.compile": "" if compiler and shutil.which(compiler) else _("install a C++ compiler, such as g++"),
        "PT2E int8": "" if _is_there("torchao") else "pip install torchao",
        "OpenVINO": "" if _is_there("openvino") and _is_there("nncf") else "pip install 'nnopt-lab[openvino]'",
    }
    yield Finding(_("engines"), ", ".join(["eager", *(name for name, cure in cures.items() if not cure)]))
    for name, cure in cures.items():
        if cure:
            yield Finding(_("no {engine}", engine=name), _("an engine of lessons 08 and 14"), cure)


def _sandbox() -> Iterator[Finding]:
    from nnopt_lab.grading.sandbox import SandboxError, available

    if kit() is not None:  # a learner grades nothing
        return
    try:
        kind = available()
    except SandboxError as error:
        yield Finding(_("grader's sandbox"), _("none; only teachers need one"), translated_sentences(str(error)))
        return
    if kind == "bubblewrap":
        command = ["bwrap", "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "true"]
    else:
        command = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "true"]
    works = subprocess.run(command, capture_output=True, timeout=5).returncode == 0
    if works:
        yield Finding(_("grader's sandbox"), kind)
    else:
        cure = _("this system forbids user namespaces: use --isolation container")
        yield Finding(_("grader's sandbox"), _("{kind}, which cannot start here", kind=kind), cure)


def _browser() -> Iterator[Finding]:
    import webbrowser

    try:
        found = getattr(webbrowser.get(), "name", _("the system's"))
    except webbrowser.Error:
        found = next(filter(shutil.which, BROWSERS), "")
    cure = "" if found else _("nnopt lab --no-browser, then open the address that it prints")
    yield Finding(_("browser"), str(found) or _("none"), cure)


def _workspace(folder: Path) -> Iterator[Finding]:
    from nnopt_lab.course.workspace import is_workspace

    if is_workspace(folder):
        yield Finding(_("workspace"), _("{folder}, {size}", folder=folder, size=size_of(folder)))
    else:
        yield Finding(_("workspace"), _("none yet in {folder}", folder=folder), _("nnopt lab creates one"))


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(CLONE).free / 1e9
    found = _("{size} GB free", size=f"{free:.1f}")
    if sys.prefix != sys.base_prefix:
        found = _("{free}; the environment takes {size}", free=found, size=size_of(Path(sys.prefix)))
    yield Finding(_("disk"), found, _("less than 1 GB is free") if free < 1 else "")


def _language() -> Iterator[Finding]:
    output = (sys.stdout.encoding or _("unknown")) if sys.stdout else _("none")
    name = locale.setlocale(locale.LC_CTYPE, None)
    is_unicode = output.lower().replace("-", "").startswith("utf")
    cure = "" if is_unicode else _("some characters will show as “?”: export LC_ALL=C.UTF-8")
    if is_unicode and (pack := missing_pack()):
        cure = _("JupyterLab's own menus stay English without its language pack: pip install {pack}", pack=pack)
    # Translators put the name of their language here.
    found = _("English; locale {locale}, output in {encoding}", locale=name, encoding=output)
    yield Finding(_("language"), found, cure)


def size_of(folder: Path, seconds: float = SECONDS_TO_COUNT) -> str:
    """The bytes of a folder's files, links not followed, such as "2.1 GB"; "more than …" if time runs out."""
    total, stop, folders = 0, time.monotonic() + seconds, [os.fspath(folder)]
    while folders and time.monotonic() < stop:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    text = f"{total / 1e9:.1f} GB" if total >= 1e9 else f"{total / 1e6:.1f} MB"
    return _("more than {size}", size=text) if folders else text


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _missing(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    if len(names) > 4:
        shown = _("{names} and {count} more", names=shown, count=len(names) - 4)
    return _("missing or another version: {names}; python3 -m nnopt_lab installs them", names=shown)
