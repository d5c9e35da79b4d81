"""Tokens, refusals, proxies, certificates, and listings of many pages."""

from __future__ import annotations

import base64
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from holdfast.mirror import Access
from tests.support import repos
from tests.support.core import Shop, User, content_of, opened_shop

FILES = {"w.bin": repos.noise(60_000, "access"), "config.json": b"{}"}
TOKEN = "hf_themostsecretofwords"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A hub that knows one token, and answers trees fifty entries at a time."""
    arguments = ("--token", f"{TOKEN}=alice", "--page-entries", "50")
    with opened_shop(tmp_path_factory.mktemp("guarded"), *arguments) as shop:
        yield shop


@pytest.fixture
def guest(guarded: Shop, user: User) -> User:
    guarded.next_test()
    return user.but(endpoint=guarded.url)


# -- what the hub refuses


def test_each_refusal_has_its_own_error(guarded: Shop, guest: User) -> None:
    gated = guarded.new(FILES, name="acme/gated")
    guarded.repositories.set_access(gated.repo, Access(gated="manual"))
    private = guarded.new(FILES, name="acme/private")
    guarded.repositories.set_access(private.repo, Access(private=True))
    public = guarded.new(FILES, name="acme/public")

    for words, code in (
        (["acme/nothing"], "repo-not-found"),
        ([private.name], "repo-not-found"),
        ([gated.name], "gated-repo"),
        ([f"{public.name}@no-such-branch"], "revision-not-found"),
        ([f"{public.name}@{'0' * 40}"], "revision-not-found"),
        ([public.name, "--include", "nothing.*"], "entry-not-found"),
        (["datasets/acme/public"], "repo-not-found"),
    ):
        done = guest.run("pull", *words)
        assert (done.code, done.error["code"]) == (4, code), words
        assert done.error["hint"]
        assert done.seconds < 5, "what is refused is not asked for again and again"

    done = guest.with_env(HF_TOKEN="hf_nobody").run("pull", public.name)
    assert (done.code, done.error["code"]) == (4, "access-denied")
    assert "hf_nobody" not in done.err
    assert guarded.content_bytes() == 0


def test_a_token_opens_what_is_closed_and_shows_nowhere(guarded: Shop, guest: User) -> None:
    private = guarded.new(FILES, name="acme/secret-model")
    guarded.repositories.set_access(private.repo, Access(private=True, gated="auto"))
    holder = guest.with_env(HF_TOKEN=TOKEN)

    done = holder.run("--verbose", "pull", private.name)

    assert content_of(done.json["path"]) == FILES
    assert TOKEN not in done.out + done.err
    for path in (guest.home or Path()).rglob("*"):
        assert path.is_symlink() or not path.is_file() or TOKEN.encode() not in path.read_bytes()
    assert holder.run("pull", "acme/nothing", "--verbose").err.count(TOKEN) == 0


def test_the_token_never_goes_to_another_origin(guarded: Shop, guest: User) -> None:
    shelf = guarded.new(FILES)
    done = guest.with_env(HF_TOKEN=TOKEN).run("pull", shelf.name)
    assert content_of(done.json["path"]) == FILES  # storage answers 400 to whoever brings one
    sent = {(r["origin"], r["headers"].get("authorization")) for r in guarded.records()}
    assert ("hub", "present") in sent
    assert ("storage", None) in sent
    assert ("storage", "present") not in sent


def test_a_token_file_is_as_good_as_a_variable(guarded: Shop, guest: User, tmp_path: Path) -> None:
    private = guarded.new(FILES, name="acme/for-file-holders")
    guarded.repositories.set_access(private.repo, Access(private=True))
    (tmp_path / "hf").mkdir()
    for place, variables in (
        (tmp_path / "token.txt", {"HF_TOKEN_PATH": str(tmp_path / "token.txt")}),
        (tmp_path / "hf" / "token", {"HF_HOME": str(tmp_path / "hf")}),
        (tmp_path / "user" / ".cache" / "huggingface" / "token", {}),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{TOKEN}\n")
        done = guest.with_env(**variables).run("pull", private.name)
        assert content_of(done.json["path"]) == FILES
        place.unlink()
    other = guarded.new({"config.json": b"another"}, name="acme/for-file-holders-too")
    guarded.repositories.set_access(other.repo, Access(private=True))
    assert guest.run("pull", other.name).code == 4


def test_what_is_here_stays_usable_when_access_is_lost(guarded: Shop, guest: User) -> None:
    shelf = guarded.new(FILES, name="acme/soon-closed")
    guest.run("pull", shelf.name).done()
    guarded.repositories.set_access(shelf.repo, Access(private=True))
    done = guest.run("pull", shelf.name)
    assert done.json["stale"]
    assert "warning" in done.err
    assert content_of(done.json["path"]) == FILES


def test_doctor_says_whether_the_hub_knows_the_token(guarded: Shop, guest: User) -> None:
    def verdict(user: User) -> str:
        found = user.run("doctor").found["findings"]
        return next(f["severity"] for f in found if f["check"] == "token")

    assert verdict(guest.with_env(HF_TOKEN=TOKEN)) == "ok"
    assert verdict(guest.with_env(HF_TOKEN="hf_wrong")) == "error"
    assert verdict(guest) == "info"


# -- listings of many pages


def test_a_listing_of_many_pages_is_read_to_its_end(guarded: Shop, guest: User) -> None:
    files = {f"folder-{n % 7}/file-{n:04}.txt": b"%d" % n for n in range(1_005)}
    shelf = guarded.new(files)
    plan = guest.run("plan", shelf.name).json
    assert {item["path"] for item in plan["files"]} == set(files)
    assert len(guarded.requests("/tree/")) == -(-(1_005 + 7) // 50)


# -- proxies and certificates


@dataclass
class Proxy:
    """A forward proxy that also connects; names it is asked for all mean this machine."""

    password: str = ""
    seen: list[str] = field(default_factory=list)

    def __enter__(self) -> Proxy:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            while head := _read_head(client):
                first, _, rest = head.partition(b"\r\n")
                method, target, _ = first.decode().split(" ")
                self.seen.append(f"{method} {target.partition('?')[0]}")
                if self.password and self._login().encode() not in rest:
                    client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                                   b"content-length: 0\r\n\r\n")  # fmt: skip
                    continue
                parts = urlsplit(target if "://" in target else f"//{target}")
                with socket.create_connection(("127.0.0.1", parts.port or 80)) as upstream:
                    if method == "CONNECT":
                        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    else:
                        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                        start = f"{method} {path} HTTP/1.1\r\nconnection: close\r\n".encode()
                        upstream.sendall(start + rest)
                    _pump(client, upstream)
                return

    def _login(self) -> str:
        return f"Basic {base64.b64encode(self.password.encode()).decode()}"


def _read_head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more:
            return b""
        head += more
    return head


def _pump(one: socket.socket, other: socket.socket) -> None:
    pairs = {one: other, other: one}
    while True:
        for ready in select.select(list(pairs), [], [])[0]:
            try:
                data = ready.recv(65536)
                if not data:
                    return
                pairs[ready].sendall(data)
            except OSError:
                return


def test_a_proxy_is_used_where_the_environment_names_one(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    port = urlsplit(shop.url).port
    elsewhere = user.but(endpoint=f"http://hub.invalid:{port}")  # only the proxy can find it
    with Proxy() as proxy:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            proxy.seen.clear()
            home = (user.home or Path()) / variable
            behind = elsewhere.but(home=home)
            done = behind.with_env(**{variable: f"http://127.0.0.1:{proxy.port}"}).run(
                "pull", shelf.name
            )
            assert content_of(done.json["path"]) == FILES
            assert len(proxy.seen) == 4  # a description, a plain file, a redirect, storage
            assert all("hub.invalid" in line for line in proxy.seen)


def test_no_proxy_goes_around_it(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    with Proxy() as proxy:
        around = user.with_env(HTTP_PROXY=f"http://127.0.0.1:{proxy.port}", NO_PROXY="127.0.0.1")
        assert content_of(around.run("pull", shelf.name).json["path"]) == FILES
        assert proxy.seen == []


def test_a_proxy_gets_its_password_and_nobody_else_sees_it(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    with Proxy(password="me:s3cret") as proxy:
        good = user.with_env(HTTP_PROXY=f"http://me:s3cret@127.0.0.1:{proxy.port}")
        assert content_of(good.run("pull", shelf.name).json["path"]) == FILES
        wrong = user.with_env(HTTP_PROXY=f"http://me:wr0ng@127.0.0.1:{proxy.port}")
        done = wrong.with_env(HOLDFAST_METADATA_TIMEOUT_S="1").run("pull", shop.new(FILES).name)
        assert done.code in {4, 5}
        assert "wr0ng" not in done.err


def test_a_proxy_that_is_gone_is_named(shop: Shop, user: User) -> None:
    behind = user.with_env(HTTP_PROXY="http://127.0.0.1:9", HOLDFAST_METADATA_TIMEOUT_S="1")
    done = behind.run("pull", shop.new(FILES).name)
    assert (done.code, done.error["code"]) == (5, "hub-unavailable")
    assert "proxy" in done.error["message"]
    assert "HTTPS_PROXY" in done.error["hint"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for hub.test that nobody trusts, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "hub.pem"
    words = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=hub.test", "-addext", "subjectAltName=DNS:hub.test,IP:127.0.0.1",
        "-keyout", path, "-out", path.with_suffix(".crt"),
    ]  # fmt: skip
    try:
        subprocess.run(words, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no certificate can be made here: {error}")
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def encrypted(shop: Shop, certificate: Path) -> Iterator[str]:
    """The hub behind TLS; the address is that of a host which only a proxy can find."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    port = urlsplit(shop.url).port
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        def serve(connection: socket.socket) -> None:
            try:
                client = context.wrap_socket(connection, server_side=True)
            except (OSError, ssl.SSLError):
                connection.close()
                return
            with client, socket.create_connection(("127.0.0.1", port)) as upstream:
                _pump(client, upstream)

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://hub.test:{listening.getsockname()[1]}"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_hub_behind_tls_and_a_proxy_is_reached_with_the_right_certificate(
    shop: Shop, user: User, encrypted: str, certificate: Path, variable: str
) -> None:
    # Large files are redirected to an address without TLS, which is refused: all are plain here.
    shelf = shop.new(FILES, lfs=lambda *_: False)
    with Proxy() as proxy:
        behind = user.but(endpoint=encrypted).with_env(
            HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}",
            **{variable: str(certificate.with_suffix(".crt"))},
        )
        assert content_of(behind.run("pull", shelf.name).json["path"]) == FILES
        assert set(proxy.seen) == {f"CONNECT {encrypted.removeprefix('https://')}"}


def test_a_certificate_that_nobody_trusts_is_an_error_with_the_cure(
    shop: Shop, user: User, encrypted: str
) -> None:
    direct = user.but(endpoint=encrypted.replace("hub.test", "127.0.0.1"))
    patient = direct.with_env(HOLDFAST_METADATA_TIMEOUT_S="15")
    done = patient.run("pull", shop.new(FILES).name)
    assert (done.code, done.error["code"]) == (5, "hub-unavailable")
    assert "no trusted connection" in done.error["message"]
    assert "SSL_CERT_FILE" in done.error["hint"]


def test_a_redirect_to_an_address_without_tls_is_refused(
    shop: Shop, user: User, encrypted: str, certificate: Path
) -> None:
    shelf = shop.new(FILES)
    direct = user.but(endpoint=encrypted.replace("hub.test", "127.0.0.1"))
    done = direct.with_env(SSL_CERT_FILE=str(certificate.with_suffix(".crt"))).run(
        "pull", shelf.name
    )
    assert (done.code, done.error["code"]) == (5, "hub-protocol-error")
    assert "unencrypted" in done.error["message"]


def test_a_missing_certificate_file_is_a_wrong_setting(shop: Shop, user: User) -> None:
    done = (
        user.but(endpoint="https://127.0.0.1:9")
        .with_env(SSL_CERT_FILE="/no/such.pem")
        .run("pull", "acme/model")
    )
    assert (done.code, done.error["code"]) == (2, "config-invalid")
    assert "SSL_CERT_FILE" in done.error["message"]
