"""Ports and hosts: the next free port, this machine's own addresses, and one sentence for what can't be opened."""

import socket
from contextlib import closing

import pytest

from nnopt_lab.grading.live import addresses


def opened(host, port=0):
    sockets, found = addresses.listen(host, port)
    names = {one.getsockname()[0] for one in sockets}
    for one in sockets:
        one.close()
    return names, found


def test_the_next_free_port_is_taken():
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        assert port < opened("127.0.0.1", port)[1] < port + addresses.NEXT_PORTS


def test_without_a_free_port_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(addresses, "NEXT_PORTS", 1)
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port={port} .*--port"):
            addresses.listen("127.0.0.1", port)


def test_a_port_that_is_not_allowed_is_told(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(addresses, "bind_sockets", refuse)
    with pytest.raises(ValueError, match=r"port=80 can't be used \(Permission denied\)"):
        addresses.listen("127.0.0.1", 80)


@pytest.mark.parametrize("host", ["203.0.113.7", "a..b", "x" * 300, "::ffff:1.2.3.4"])
def test_a_host_of_another_machine_is_told_with_this_machines_own(host):
    with pytest.raises(ValueError, match=r"is not an address of this machine; these are: 127\.0\.0\.1"):
        addresses.listen(host, 8890)


def test_a_host_that_nobody_knows_is_told(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(addresses, "bind_sockets", unknown)
    with pytest.raises(ValueError, match="host='no such' is not an address of this machine"):
        addresses.listen("no such", 8890)


def test_the_teachers_own_page_is_always_on_loopback():
    assert opened("127.0.0.1")[0] == {"127.0.0.1"}
    assert "0.0.0.0" in opened("0.0.0.0")[0]
    own = next(iter(addresses._own()), None)
    if own and ":" not in own and not own.startswith("127."):
        assert opened(own)[0] == {own, "127.0.0.1"}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_what_only_this_machine_reaches(host, loopback):
    assert addresses.is_loopback(host) == loopback


def test_learners_get_an_address_that_they_can_reach(monkeypatch):
    assert addresses.outside("192.168.1.5") == "192.168.1.5" and addresses.outside("pc.school") == "pc.school"
    monkeypatch.setattr(addresses, "_own", lambda: ["10.0.0.7"])
    assert addresses.outside("0.0.0.0") == addresses.outside("::") == "10.0.0.7"
    monkeypatch.setattr(addresses, "_own", list)
    assert addresses.outside("0.0.0.0") == socket.gethostname()
    assert addresses.url("::1", 8890, "code") == "http://[::1]:8890/code"
    assert addresses.url("10.0.0.7", 8890, "code") == "http://10.0.0.7:8890/code"
