"""The playground's server answers its own page only, within bounds, whatever it is sent."""

import http.client
import json
import signal
import socket
import threading
import time
import urllib.request

import pytest

from nnreg.commands.main import main
from nnreg.playground import server as module
from nnreg.playground.server import MAX_BODY, MAX_CONNECTIONS, MAX_SESSIONS, Server

KEY = "tab-00000000"


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def request(server, method="POST", path=None, body=b'{"do": "hello"}', **headers):
    """Return status and body; the headers are those of the page, unless others are given."""
    headers = {"content_type": "application/json", "x_session": KEY, **headers}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.putrequest(method, path or f"/{server.token}/api", skip_host="host" in headers)
        headers.setdefault("content_length", str(len(body)))
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


def ask(server, do, key=KEY, **fields):
    status, body, _ = request(server, body=json.dumps({"do": do, **fields}).encode(), x_session=key)
    assert status == 200
    return json.loads(body)


def test_the_page_is_served_with_its_files_and_no_others(server):
    for name, data in server.page.items():
        status, body, headers = request(server, "GET", f"/{server.token}/{name}")
        assert (status, body) == (200, data)
        assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert request(server, "GET", f"/{server.token}/")[1] == server.page["index.html"]


def test_a_session_is_that_of_one_tab(server):
    for key, steps in (("tab-00000001", 3), ("tab-00000002", 5)):
        ask(server, "hello", key)
        ask(server, "play", key, steps=steps)
    assert ask(server, "play", "tab-00000001", steps=0)["status"]["step"] == 3


HOSTILE = {
    "a wrong token": (404, {"path": "/{wrong}/api"}),
    "no token": (404, {"path": "/api"}),
    "an empty token": (404, {"path": "//api"}),
    "a token that is not ASCII": (404, {"path": "/%C3%A4/api"}),
    "a wrong token for the page": (404, {"method": "GET", "path": "/{wrong}/"}),
    "a path outside the page": (404, {"method": "GET", "path": "/{token}/../../setup.cfg"}),
    "an encoded path": (404, {"method": "GET", "path": "/{token}/%2e%2e/session.py"}),
    "an absolute path": (404, {"method": "GET", "path": "/{token}//etc/passwd"}),
    "another host": (403, {"host": "example.org"}),
    "another port": (403, {"host": "127.0.0.1:1"}),
    "another origin": (403, {"origin": "https://example.org"}),
    "no origin": (403, {"origin": "null"}),
    "another site": (403, {"sec_fetch_site": "cross-site"}),
    "a form": (404, {"content_type": "application/x-www-form-urlencoded"}),
    "a huge body": (413, {"content_length": "999999999999", "body": b""}),
    "a body above the bound": (413, {"content_length": str(MAX_BODY + 1), "body": b""}),
    "a negative length": (413, {"content_length": "-1", "body": b""}),
    "no length": (413, {"content_length": None, "body": b""}),
    "no session": (400, {"x_session": None}),
    "a session with a path": (400, {"x_session": "../../../etc"}),
    "text": (400, {"body": b"play"}),
    "half a message": (400, {"body": b'{"do": "pl'}),
    "bytes": (400, {"body": bytes(range(256))}),
    "deep brackets": (400, {"body": b"[" * 100_000}),
    "a long number": (400, {"body": b'{"do": "play", "steps": ' + b"9" * 100_000 + b"}"}),
    "another method": (501, {"method": "DELETE"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_refuses_and_goes_on(server, name):
    status, fields = HOSTILE[name]
    if "path" in fields:
        wrong = "x" * len(server.token)
        fields = {**fields, "path": fields["path"].format(token=server.token, wrong=wrong)}
    found, body, _ = request(server, **fields)
    assert found == status
    assert len(body) < 1000
    assert ask(server, "hello")["status"]["step"] >= 0


MESSAGES = [b"null", b"[]", b"3", b'{"do": ["hello"]}', b'{"do": "play", "steps": NaN}']
MESSAGES += [b'{"do": "play", "steps": 1e999}', b'{"do": "set", "knobs": {"layers": [[[]]]}}']


@pytest.mark.parametrize("body", MESSAGES)
def test_a_wrong_message_is_an_error_in_the_reply(server, body):
    ask(server, "hello")
    status, reply, _ = request(server, body=body)
    assert status == 200
    assert json.loads(reply)["error"]["message"]


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\r\n" * 9, b"A" * 70_000]
)
def test_what_is_not_http_ends_its_connection_only(server, raw, capsys):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
    assert ask(server, "hello")["status"]


def test_a_hundred_idle_connections_leave_it_alive_and_bounded(server):
    before = threading.active_count()
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    try:
        assert ask(server, "hello")["status"]
        assert len(server.connections) <= MAX_CONNECTIONS
        wait_until(lambda: threading.active_count() <= before + MAX_CONNECTIONS + 1)
    finally:
        for connection in idle:
            connection.close()
    wait_until(lambda: threading.active_count() <= before + 1)


def test_a_hundred_messages_at_once_are_answered_or_cut_off(server):
    replies = []

    def play(number):
        try:
            replies.append(ask(server, "hello", f"tab-{number % 4:08}")["status"]["step"])
        except (OSError, http.client.HTTPException):  # closed, for a newer connection
            replies.append(None)

    threads = [threading.Thread(target=play, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 100
    assert ask(server, "hello")["status"]


def test_the_session_unused_for_longest_makes_room(server):
    for number in range(MAX_SESSIONS + 1):
        ask(server, "hello", f"key-{number:08}")
    assert len(server.sessions) == MAX_SESSIONS
    assert ask(server, "play", "key-00000000")["error"]["gone"]
    assert ask(server, "play", f"key-{MAX_SESSIONS:08}")["status"]["step"] == 1


def test_a_slow_client_is_cut_off(server, monkeypatch):
    monkeypatch.setattr(module._Handler, "timeout", 0.1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /")
        assert connection.recv(100) == b""


def test_a_port_in_use_is_named_with_a_cure(server):
    with pytest.raises(OSError, match=rf"port {server.port} cannot be used .* another --port"):
        Server(server.port)


def test_a_browser_that_ends_late_is_answered(monkeypatch):
    replies = []

    def browse(address):
        replies.append(urllib.request.urlopen(address, timeout=30).status)
        signal.raise_signal(signal.SIGINT)  # Ctrl-C

    monkeypatch.setattr("webbrowser.open", browse)
    assert main(["playground"]) == 0
    assert replies == [200]


def test_the_longest_table_is_within_the_bounds(server):
    text = "a,b\n" + "猫,犬\n" * 249_990
    error = ask(server, "preset", name="overfit") and ask(
        server, "set", knobs={"data": "csv", "csv": text}
    )
    assert "not a finite number" in error["error"]["message"]


def test_a_fault_is_a_reply_and_not_the_end(server, monkeypatch, capsys):
    ask(server, "hello")
    monkeypatch.setattr(module.Session, "handle", lambda *_: 1 / 0)
    assert "a fault of nnreg" in ask(server, "hello")["error"]["message"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()
