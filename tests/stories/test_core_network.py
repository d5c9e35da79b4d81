"""What a network does to a download, and what comes out of it all the same."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support import repos
from tests.support.core import Shelf, Shop, User, content_of, leftovers
from tests.support.deny import deny_prefix

BIG = repos.noise(45_000_000, "network")
FILES = {
    "model.safetensors": BIG,
    "vocab.json": repos.noise(600_000, "vocab"),
    "config.json": b"{}",
}
SIZE = sum(map(len, FILES.values()))
SMALL = {"w.bin": repos.noise(200_000, "small"), "plain.txt": repos.noise(3_000, "plain")}
SMALL_SIZE = sum(map(len, SMALL.values()))
MIB = 1 << 20


def pulled_right(shop: Shop, user: User, shelf: Shelf, files: dict[str, bytes]) -> int:
    """Pull, check every byte, and return the bytes that the hub sent."""
    done = user.run("pull", shelf.name)
    assert content_of(done.json["path"]) == files
    assert leftovers(user.home or Path()) == []
    return shop.content_bytes()


# -- a hub that does not answer


@pytest.fixture
def warm(shop: Shop, user: User) -> Shelf:
    shelf = shop.new(SMALL)
    user.run("pull", shelf.name).done()
    shop.reset()
    return shelf


@pytest.mark.parametrize("where", ["any", "api"])
def test_a_silent_hub_and_a_warm_home_answer_within_seconds(
    shop: Shop, user: User, warm: Shelf, where: str
) -> None:
    shop.hub.set_faults(f"silence:where={where}")
    done = user.run("pull", warm.name)
    assert done.seconds < 6  # 2 for asking, and the interpreter's start on a busy machine
    assert done.json["stale"]
    assert Path(done.json["path"]) == warm.folder(user.home or Path())
    assert "warning: using the last known revision" in done.err


def test_a_port_that_accepts_and_nobody_behind_it_is_the_same(user: User, warm: Shelf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
        done = user.but(endpoint=endpoint).run("pull", warm.name)
        assert done.json["stale"]
        assert done.seconds < 6


def test_a_hub_that_is_gone_is_noticed_at_once(user: User, warm: Shelf) -> None:
    done = user.but(endpoint="http://127.0.0.1:9").run("pull", warm.name)
    assert done.json["stale"]
    assert done.seconds < 5


@pytest.mark.parametrize(
    "fault",
    [
        "status:code=503",
        "stall:at=10",
        "loop:match=/",
        pytest.param("status:code=500", marks=pytest.mark.slow),
        pytest.param("status:code=429", marks=pytest.mark.slow),
        pytest.param("cut:at=10", marks=pytest.mark.slow),
    ],
)
def test_a_hub_that_fails_at_every_question_leaves_the_warm_home_in_use(
    shop: Shop, user: User, warm: Shelf, fault: str
) -> None:
    shop.hub.set_faults(f"{fault},where=api")
    done = user.run("pull", warm.name)
    assert done.json["stale"]
    assert done.seconds < 6
    assert content_of(done.json["path"]) == SMALL


def test_a_silent_hub_and_a_cold_home_are_an_error_in_good_time(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("silence")
    done = user.with_env(HOLDFAST_METADATA_TIMEOUT_S="1.5").run("pull", shelf.name)
    assert (done.code, done.error["code"]) == (5, "hub-unavailable")
    assert "1.5 s" in done.error["message"]
    assert done.seconds < 6


def test_storage_that_is_silent_is_given_up_and_the_older_revision_served(
    shop: Shop, user: User, warm: Shelf
) -> None:
    warm.next({"w.bin": repos.noise(200_000, "newer")})
    shop.hub.set_faults("silence:where=storage")
    impatient = user.with_env(HOLDFAST_STALL_TIMEOUT_S="0.5", HOLDFAST_PATIENCE_S="1")
    done = impatient.run("pull", warm.name)
    assert done.json["commit"] == warm.commit
    assert done.json["stale"]
    assert "which cannot be brought here" in done.err
    assert content_of(done.json["path"]) == SMALL


def test_a_pinned_commit_needs_no_network_at_all(shop: Shop, user: User, warm: Shelf) -> None:
    done = user.but(prefix=tuple(deny_prefix(connect="ENETUNREACH"))).run("pull", warm.pinned)
    assert not done.json["stale"]
    assert shop.requests() == []
    if os.geteuid() == 0:
        done = user.but(prefix=("unshare", "--net")).run("pull", warm.pinned)
        assert Path(done.json["path"]) == warm.folder(user.home or Path())


def test_offline_makes_not_one_call(shop: Shop, user: User, warm: Shelf, tmp_path: Path) -> None:
    alone = user.but(prefix=tuple(deny_prefix(connect="ENETUNREACH")))
    for words in (
        ["pull", warm.name], ["plan", warm.name], ["verify"], ["ls"], ["where"], ["collect"],
        ["doctor"], ["repair"], ["pull", warm.name, "--local-dir", tmp_path / "chosen"],
    ):  # fmt: skip
        assert alone.run("--offline", *words).code == 0, words
    assert content_of(tmp_path / "chosen") == SMALL
    by_variable = alone.with_env(HF_HUB_OFFLINE="1").run("pull", warm.name)
    assert by_variable.json["stale"]
    assert shop.requests() == []


def test_offline_and_not_here_is_an_error_that_says_so(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    done = user.run("--offline", "pull", shelf.name)
    assert (done.code, done.error["code"]) == (5, "not-here")
    assert shelf.name in done.error["hint"]
    assert shop.requests() == []


# -- lines that break, bytes that are wrong


def test_a_line_cut_every_few_megabytes_is_taken_up_where_it_broke(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults("cut:at=6M,where=storage")
    assert pulled_right(shop, user, shelf, FILES) < SIZE + 4 * MIB
    assert len(shop.requests()) > 8


def test_a_stalled_line_is_given_up_and_taken_up_again(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults("stall:at=5M,where=storage,times=3")
    impatient = user.with_env(HOLDFAST_STALL_TIMEOUT_S="0.5")
    assert pulled_right(shop, impatient, shelf, FILES) < SIZE + 4 * MIB


def test_wrong_bytes_once_are_fetched_again(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("corrupt:at=1000,where=storage,times=1")
    assert pulled_right(shop, user, shelf, SMALL) == SMALL_SIZE + len(SMALL["w.bin"])


def test_wrong_bytes_in_a_plain_file_are_noticed_too(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("corrupt:at=1000,where=resolve,match=plain,times=1")
    assert pulled_right(shop, user, shelf, SMALL) == SMALL_SIZE + len(SMALL["plain.txt"])


def test_wrong_bytes_in_one_range_of_many_are_mended(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults("corrupt:at=100000,where=storage,times=1")
    assert pulled_right(shop, user, shelf, FILES) <= 2 * SIZE


@pytest.mark.parametrize(
    ("where", "match", "name"), [("storage", "", "w.bin"), ("resolve", "plain", "plain.txt")]
)
def test_wrong_bytes_always_are_an_error_that_names_both_digests(
    shop: Shop, user: User, where: str, match: str, name: str
) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults(f"corrupt:at=1000,where={where},match={match}")

    done = user.run("pull", shelf.name)

    assert (done.code, done.error["code"]) == (6, "digest-mismatch")
    facts = done.error["facts"]
    assert facts["file"] == name
    assert len(facts["expected"]) == len(facts["actual"]) in {40, 64}
    assert facts["expected"] != facts["actual"]
    assert facts["expected"] in done.error["why"]
    assert content_of(shelf.folder(user.home or Path())) == {}
    assert not (shelf.cache(user.home or Path()) / "refs").exists()
    shop.reset()
    assert content_of(user.run("pull", shelf.name).json["path"]) == SMALL


def test_more_bytes_than_promised_are_not_taken(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("excess:at=100k,where=storage", "excess:at=1k,where=resolve,match=plain")
    pulled_right(shop, user, shelf, SMALL)


def test_fewer_bytes_than_promised_once_are_fetched_again(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("short:at=50k,where=storage,times=1")
    pulled_right(shop, user, shelf, SMALL)


def test_fewer_bytes_than_promised_always_are_an_error(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("short:at=50k,where=storage")
    done = user.with_env(HOLDFAST_PATIENCE_S="1").run("pull", shelf.name)
    assert done.code in {5, 6}
    assert done.error["code"] in {"digest-mismatch", "hub-unavailable"}
    assert content_of(shelf.folder(user.home or Path())) == {}


@pytest.mark.parametrize("times", ["", ",times=1", ",times=2"])
def test_a_server_that_ignores_ranges_is_put_up_with(shop: Shop, user: User, times: str) -> None:
    shelf = shop.new(FILES)
    # A slowed hub notices that a client has left, and counts no more for it.
    shop.hub.set_faults(f"norange:where=storage{times}", "slow:rate=100M,where=storage")
    # What other connections were bringing when the whole began is all that comes twice.
    assert pulled_right(shop, user, shelf, FILES) < SIZE + 32 * MIB


def test_a_resumed_download_from_a_server_without_ranges_is_right(shop: Shop, user: User) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults("slow:rate=20M,where=storage")
    process = user.start("pull", shelf.name)
    time.sleep(1.0)
    process.kill()
    process.communicate()
    shop.hub.set_faults("norange:where=storage")
    pulled_right(shop, user, shelf, FILES)


# -- a hub that asks to wait, or errs


@pytest.mark.parametrize("where", ["api", "storage"])
def test_a_hub_that_asks_to_wait_is_given_the_time(shop: Shop, user: User, where: str) -> None:
    shelf = shop.new({"w.bin": SMALL["w.bin"]})
    shop.hub.set_faults(f"status:code=429,retry_after=2,times=1,where={where}")
    done = user.run("pull", shelf.name)
    assert content_of(done.json["path"]) == {"w.bin": SMALL["w.bin"]}
    assert done.json["seconds"] >= 2


def test_a_hub_that_asks_to_wait_for_an_hour_is_not_waited_for(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    for where in ("api", "storage"):
        shop.hub.set_faults(f"status:code=429,retry_after=3600,where={where}")
        done = user.run("pull", shelf.name)
        assert (done.code, done.error["code"]) == (5, "rate-limited")
        assert done.seconds < 5


@pytest.mark.parametrize(
    "code", [503, 408, *(pytest.param(n, marks=pytest.mark.slow) for n in (500, 502, 504))]
)
def test_a_hub_that_fails_a_few_times_is_asked_again(shop: Shop, user: User, code: int) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults(
        f"status:code={code},times=2,where=api", f"status:code={code},times=1,where=storage"
    )
    pulled_right(shop, user, shelf, SMALL)


def test_storage_that_fails_for_good_is_an_error_in_good_time(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("status:code=503,where=storage")
    done = user.with_env(HOLDFAST_PATIENCE_S="1").run("pull", shelf.name)
    assert (done.code, done.error["code"]) == (5, "hub-unavailable")
    assert done.error["facts"]["file"] == "w.bin"
    assert done.seconds < 6


@pytest.mark.parametrize("fault", ["expired:where=storage,times=2",
                                   "expired:where=storage,skip=1,times=2"])  # fmt: skip
def test_a_signed_address_that_has_run_out_is_asked_for_again(
    shop: Shop, user: User, fault: str
) -> None:
    shelf = shop.new(FILES)
    shop.hub.set_faults(fault, "cut:at=8M,where=storage")
    assert pulled_right(shop, user, shelf, FILES) < SIZE + 8 * MIB


def test_signed_addresses_that_never_work_are_an_error(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("expired:where=storage")
    done = user.with_env(HOLDFAST_PATIENCE_S="2").run("pull", shelf.name)
    assert done.code in {4, 5}
    assert done.seconds < 8
    assert content_of(shelf.folder(user.home or Path())) == {}


def test_a_redirect_that_leads_nowhere_is_an_error(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    shop.hub.set_faults("loop:where=api")
    done = user.with_env(HOLDFAST_METADATA_TIMEOUT_S="2").run("pull", shelf.name)
    assert (done.code, done.error["code"]) == (5, "hub-protocol-error")


def test_a_branch_that_moves_while_it_is_pulled_gives_one_revision_whole(
    shop: Shop, user: User
) -> None:
    first = shop.new(SMALL)
    other = {"w.bin": repos.noise(200_000, "other"), "plain.txt": repos.noise(3_000, "too")}
    second = first.next(other)
    shop.repositories.branch(first.repo, "main", first.commit)
    shop.hub.set_faults(f"move:repo={first.name},to={second.commit},where=api,times=1")

    done = user.run("pull", first.name).json

    assert done["commit"] == first.commit
    assert content_of(done["path"]) == SMALL
    after = user.run("pull", first.name).json
    assert after["commit"] == second.commit
    assert content_of(after["path"]) == other


# -- what answers is no hub


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<html>Please log in to the hotel's network</html>"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        del args


def test_a_login_page_in_the_hubs_place_is_called_that(user: User) -> None:
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        elsewhere = user.but(endpoint=f"http://127.0.0.1:{server.server_address[1]}")
        done = elsewhere.run("pull", "acme/model")
        server.shutdown()
    assert (done.code, done.error["code"]) == (5, "hub-protocol-error")
    assert "not JSON" in done.error["why"]
    assert "login page" in done.error["hint"]


@pytest.mark.parametrize(
    "endpoint", ["example.org", "ftp://example.org", "localhost:8080", "http://", "http://[::1"]
)
def test_an_endpoint_that_is_no_address_is_a_wrong_setting(user: User, endpoint: str) -> None:
    by_option = user.but(endpoint=endpoint).run("pull", "acme/model")
    assert (by_option.code, by_option.error["code"]) == (2, "config-invalid")
    by_variable = user.but(endpoint="").with_env(HF_ENDPOINT=endpoint).run("pull", "acme/model")
    assert (by_variable.code, by_variable.error["code"]) == (2, "config-invalid")


def test_the_endpoint_is_read_from_the_environment(shop: Shop, user: User) -> None:
    shelf = shop.new(SMALL)
    by_variable = user.but(endpoint="").with_env(HF_ENDPOINT=f"{shop.url}/")
    assert content_of(by_variable.run("pull", shelf.name).json["path"]) == SMALL


STORM = [
    "cut:at={small},where={where},times={times}",
    "stall:at={small},where={where},times={times}",
    "corrupt:at={small},where=storage,times={times}",
    "excess:at=1000,where=storage,times={times}",
    "short:at=1000,where=storage,times={times}",
    "norange:where=storage,times={times}",
    "expired:where=storage,times={times}",
    "status:code=503,where={where},times={times}",
    "status:code=429,retry_after=1,where={where},times={times}",
    "status:code=500,where={where},times={times}",
    "silence:where=storage,times={times}",
    "slow:rate=30M,where=storage",
]


@pytest.mark.parametrize(
    "seed", [0, 1, 2, *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 20))]
)
def test_whatever_comes_together_the_outcome_is_right_or_an_error_of_ours(
    shop: Shop, user: User, seed: int
) -> None:
    dice = random.Random(f"storm {seed}")
    shelf = shop.new(FILES)
    faults = [
        text.format(
            small=dice.randrange(0, 20_000_000),
            where=dice.choice(["api", "resolve", "storage"]),
            times=dice.randrange(1, 6),
        )
        for text in dice.sample(STORM, 4)
    ]
    shop.hub.set_faults(*faults)
    impatient = user.with_env(HOLDFAST_STALL_TIMEOUT_S="0.7", HOLDFAST_PATIENCE_S="4")

    done = impatient.run("pull", shelf.name)

    if done.code == 0:
        assert content_of(done.json["path"]) == FILES, faults
    else:
        assert done.code in {4, 5, 6}, faults
        assert done.error["hint"], faults
        assert content_of(shelf.folder(user.home or Path())) == {}, faults
    shop.hub.set_faults()
    assert content_of(user.run("pull", shelf.name).json["path"]) == FILES, faults
    assert leftovers(user.home or Path()) == []
