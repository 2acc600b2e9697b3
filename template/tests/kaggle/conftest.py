"""The real client of Kaggle, logged in at a server of this machine with a planted key."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from kaggle_server import KEY, SIGNED, USER, Server, State

from comp.kaggle import client, publish


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def state(
    server: Server, repo: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> State:
    """What the server will answer. The user is logged in, and the client may print all it can."""
    if find_spec("kagglesdk") is None:
        pytest.skip("kaggle is not installed")
    home = str(tmp_path_factory.mktemp("home"))
    for name, value in {
        "HOME": home,
        "USERPROFILE": home,
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "http_proxy": server.address,
        "no_proxy": "127.0.0.1",
        "KAGGLE_USERNAME": USER,
        "KAGGLE_KEY": KEY,
        "VERBOSE": "1",
        "VERBOSE_OUTPUT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR", "XDG_CONFIG_HOME", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(client, "PAUSES", (0.0,))
    monkeypatch.setattr(publish, "LOOK_AGAIN", 0.0)
    server.state = State()
    return server.state


@pytest.fixture(autouse=True)
def output(repo: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """`output()`: what was printed since it was last called. No credential is among it, or stands in a file."""
    printed = []

    def read() -> str:
        printed.append("".join(capfd.readouterr()))
        return printed[-1]

    yield read
    read()
    written = b"".join(path.read_bytes() for path in repo.rglob("*") if path.is_file())
    for secret in (KEY, SIGNED.partition("Signature=")[2], "bl0bt0k3n"):
        assert secret not in "".join(printed)
        assert secret.encode() not in written
