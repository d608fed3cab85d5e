"""`nnopt class --serve` as a process: it answers, ends cleanly, and comes back with everything it had."""

import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from nnopt_lab.course.sharing import post
from nnopt_lab.grading.live import stored, workshop
from nnopt_lab.grading.live.message import read
from tests.grading.live.classes import ask, cookie_of, sent

TOKEN = "0123456789abcdef" * 2


def _heed_interrupts():
    # A script that runs the tests in the background (&) hands down that SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def started(tmp_path):
    """Starts the command in a process of its own: (process, learners' address, page's address, output so far)."""
    processes = []

    def start(*arguments):
        command = [sys.executable, "-u", "-m", "nnopt_lab", "class", "--serve", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ.copy(),
            preexec_fn=None if os.name == "nt" else _heed_interrupts,
        )
        processes.append(process)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(("Only this machine", "The network")):
                break
        text = "".join(lines)
        learners, page = re.search(r"--share (\S+) YOURNAME", text), re.search(r"Your page: +(\S+)", text)
        assert learners and page, text
        return process, learners[1], page[1], text

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_ends_and_comes_back_with_the_same_addresses_and_rows(started, tmp_path, number):
    arguments = ("--file", "class.json", "--port", 18890)
    process, learners, page, text = started(*arguments)
    assert "class.json" in text
    assert post(learners, TOKEN, sent()) == "Anna"
    process.send_signal(number)
    rest, status = process.stdout.read(), process.wait(30)
    assert status == 0 and rest.strip() == "The class has ended."
    again, same_learners, same_page, _ = started(*arguments)
    assert (same_learners, same_page) == (learners, page)
    assert post(learners, "another" + TOKEN, sent()) == "Anna (2)" and post(learners, TOKEN, sent()) == "Anna"
    again.send_signal(number)
    assert again.wait(30) == 0


def test_in_memory_only_nothing_is_written(tmp_path):
    here = workshop.prepare("127.0.0.1", 0)
    assert here.learners_address.startswith(f"http://127.0.0.1:{here.port}/") and here.file is None
    workshop._Saver(here, pytest.fail).save()
    assert not list(tmp_path.iterdir())
    for one in here.sockets:
        one.close()


def test_a_file_that_can_not_be_written_is_told_once_and_the_class_goes_on(tmp_path, monkeypatch):
    here, said = workshop.prepare("127.0.0.1", 0, tmp_path / "class.json"), []
    saver = workshop._Saver(here, said.append)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(stored, "save", full)
        for _ in range(3):
            here.board.receive(TOKEN, read(sent()), 1000)
            saver.save()
    assert said == [
        f"{tmp_path / 'class.json'} can't be written (No space left on device); the class goes on without it."
    ]
    saver.save()
    assert (tmp_path / "class.json").stat().st_size > 100
    for one in here.sockets:
        one.close()


def test_it_runs_in_a_thread_too(tmp_path):
    here = workshop.prepare("127.0.0.1", 0)
    threading.Thread(target=workshop.run, args=(here,), daemon=True).start()
    post(here.learners_address, TOKEN, sent(), 20)
    status, _, body = ask(here, "GET", "/view", Cookie=cookie_of(here))
    assert status == 200 and b"Anna" in body


def test_a_file_with_a_port_that_is_taken_gets_the_next_one(tmp_path):
    first = workshop.prepare("127.0.0.1", 0, tmp_path / "class.json")
    stored.save(tmp_path / "class.json", first.board, first.codes, first.port)
    second = workshop.prepare("127.0.0.1", 1, tmp_path / "class.json")
    assert second.asked == first.port < second.port and second.codes == first.codes
    for one in (*first.sockets, *second.sockets):
        one.close()
