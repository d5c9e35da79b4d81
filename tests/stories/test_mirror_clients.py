"""Clients that know nothing of Holdfast download from the mirror, unchanged."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder

from holdfast.mirror import Access, Account, HubSettings, Repositories
from holdfast.refs import RepoRef
from tests.support.hub import FaultyHub, faulty_hub

MODEL = RepoRef("owner/model")
FILES: dict[str, bytes | Path | None] = {
    "config.json": b'{"model_type": "bert"}',
    "weights/model.safetensors": bytes(range(256)) * 4096,
    "weights/ünïcode name+%.txt": "ä".encode(),
    "empty.txt": b"",
}


@pytest.fixture
def repositories(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path / "hub", durable=False)


@pytest.fixture
def hub(repositories: Repositories) -> Iterator[FaultyHub]:
    with faulty_hub(repositories) as hub:
        yield hub


def read_all(folder: str | Path) -> dict[str, bytes]:
    root = Path(folder)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def api(hub: FaultyHub, token: str | bool = False) -> HfApi:
    return HfApi(endpoint=hub.url, token=token)


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
@pytest.mark.parametrize("name", ["owner/name", "name"])
def test_a_snapshot_arrives_whole(hub: FaultyHub, tmp_path: Path, kind: str, name: str) -> None:
    repo = RepoRef(name, kind)  # type: ignore[arg-type]
    commit = hub.repositories.commit(repo, FILES)

    folder = snapshot_download(
        name, repo_type=kind, cache_dir=tmp_path / "cache", endpoint=hub.url, token=False
    )

    assert Path(folder).name == commit
    assert read_all(folder) == FILES


def test_a_plain_folder_is_a_repository(hub: FaultyHub, tmp_path: Path) -> None:
    place = hub.repositories.root / "someone" / "dropped"
    for name, content in FILES.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(content, bytes)
        path.write_bytes(content)

    folder = snapshot_download(
        "someone/dropped", cache_dir=tmp_path / "cache", endpoint=hub.url, token=False
    )

    assert read_all(folder) == FILES
    assert [str(repo) for repo in hub.repositories.list()] == ["someone/dropped"]


def test_a_changed_plain_folder_is_a_new_revision(
    hub: FaultyHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.mirror._folders._RESCAN_AFTER_S", 0.0)
    place = hub.repositories.root / "someone" / "dropped"
    place.mkdir(parents=True)
    (place / "a.txt").write_text("one")
    before = api(hub).model_info("someone/dropped").sha
    (place / "a.txt").write_text("two!")

    folder = snapshot_download(
        "someone/dropped", cache_dir=tmp_path / "cache", endpoint=hub.url, token=False
    )

    assert Path(folder).name != before
    assert read_all(folder) == {"a.txt": b"two!"}


def test_revisions_are_branches_tags_commits_and_pull_requests(
    hub: FaultyHub, tmp_path: Path
) -> None:
    first = hub.repositories.commit(MODEL, {"a.txt": b"one"})
    hub.repositories.tag(MODEL, "v1.0", first)
    second = hub.repositories.commit(MODEL, {"a.txt": b"two"})
    proposed = hub.repositories.commit(MODEL, {"a.txt": b"pr"}, branch="refs/pr/1")

    def fetch(revision: str) -> bytes:
        path = hf_hub_download(
            "owner/model",
            "a.txt",
            revision=revision,
            cache_dir=tmp_path / "cache",
            endpoint=hub.url,
            token=False,
        )
        return Path(path).read_bytes()

    found = {name: fetch(name) for name in ("main", "v1.0", first, second, "refs/pr/1")}
    refs = api(hub).list_repo_refs("owner/model", include_pull_requests=True)
    commits = api(hub).list_repo_commits("owner/model")

    assert found == {
        "main": b"two",
        "v1.0": b"one",
        first: b"one",
        second: b"two",
        "refs/pr/1": b"pr",
    }
    assert [(ref.name, ref.target_commit) for ref in refs.branches] == [("main", second)]
    assert [(ref.ref, ref.target_commit) for ref in refs.tags] == [("refs/tags/v1.0", first)]
    assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests or []] == [
        ("refs/pr/1", proposed)
    ]
    assert [commit.commit_id for commit in commits] == [second, first]


def test_a_tree_of_many_pages_is_listed_once_and_whole(repositories: Repositories) -> None:
    names = [f"folder/{number:04d}.txt" for number in range(57)]
    repositories.commit(MODEL, {name: name.encode() for name in names})
    with faulty_hub(repositories, settings=HubSettings(page_entries=10)) as hub:
        found = list(api(hub).list_repo_tree("owner/model", recursive=True))
        until = time.monotonic() + 5
        while len(hub.log.records) < 6 and time.monotonic() < until:
            time.sleep(0.01)  # an answer is noted once it has been sent
        pages = len(hub.log.records)

    assert [item.path for item in found] == ["folder", *names]
    assert pages == 6


def test_sizes_and_digests_are_those_that_git_computes(hub: FaultyHub, tmp_path: Path) -> None:
    hub.repositories.commit(MODEL, FILES)
    work = tmp_path / "work"
    for name in ("config.json", "empty.txt", "weights/ünïcode name+%.txt"):
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = FILES[name]
        assert isinstance(content, bytes)
        path.write_bytes(content)
    listed = {item.path: item for item in api(hub).list_repo_tree("owner/model", recursive=True)}
    weights = listed["weights/model.safetensors"]
    assert isinstance(weights, RepoFile)
    assert weights.lfs is not None
    (work / "weights/model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{weights.lfs.sha256}\nsize {weights.size}\n"
    )

    def git(*arguments: str) -> str:
        command = ["git", "-c", "core.autocrlf=false", "-c", "core.quotepath=off", *arguments]
        return subprocess.run(command, cwd=work, capture_output=True, text=True, check=True).stdout

    git("init", "--quiet")
    git("add", ".")
    tree = git("write-tree").strip()
    entries = git("ls-tree", "-r", "-t", tree).splitlines()

    expected = {line.partition("\t")[2]: line.split()[2] for line in entries}
    found = {
        path: item.blob_id if isinstance(item, RepoFile) else item.tree_id
        for path, item in listed.items()
    }
    assert found == expected
    content = FILES["weights/model.safetensors"]
    assert isinstance(content, bytes)
    assert weights.lfs.sha256 == hashlib.sha256(content).hexdigest()


def test_paths_info_answers_for_files_and_folders_and_omits_the_rest(hub: FaultyHub) -> None:
    first = hub.repositories.commit(MODEL, FILES)
    hub.repositories.commit(MODEL, {"config.json": b"{}"}, onto="main", title="Smaller")

    found = api(hub).get_paths_info(
        "owner/model", ["config.json", "weights", "nothing", "empty.txt"], expand=True
    )

    by_path = {item.path: item for item in found}
    assert sorted(by_path) == ["config.json", "empty.txt", "weights"]
    assert isinstance(by_path["weights"], RepoFolder)
    changed, kept = by_path["config.json"].last_commit, by_path["empty.txt"].last_commit
    assert changed is not None
    assert kept is not None
    assert (changed.title, kept.oid) == ("Smaller", first)


def test_what_is_missing_has_the_right_error(hub: FaultyHub, tmp_path: Path) -> None:
    commit = hub.repositories.commit(MODEL, FILES)

    def fetch(name: str, path: str, revision: str = "main") -> None:
        hf_hub_download(
            name, path, revision=revision, cache_dir=tmp_path, endpoint=hub.url, token=False
        )

    with pytest.raises(RepositoryNotFoundError):
        fetch("owner/other", "config.json")
    with pytest.raises(RevisionNotFoundError):
        fetch("owner/model", "config.json", "no-such-branch")
    with pytest.raises(RevisionNotFoundError):
        fetch("owner/model", "config.json", "0" * 40)
    with pytest.raises(RemoteEntryNotFoundError) as missing:
        fetch("owner/model", "nothing.json")
    with pytest.raises(EntryNotFoundError):
        list(api(hub).list_repo_tree("owner/model", "additional_chat_templates"))
    assert missing.value.response.headers["x-repo-commit"] == commit
    assert (tmp_path / "models--owner--model" / ".no_exist" / commit / "nothing.json").exists()


def test_closed_repositories_open_for_those_who_were_let_in(
    repositories: Repositories, tmp_path: Path
) -> None:
    hidden, gated = RepoRef("owner/hidden"), RepoRef("owner/gated")
    for repo in (hidden, gated):
        repositories.commit(repo, FILES)
    repositories.set_access(hidden, Access(private=True))
    repositories.set_access(gated, Access(gated="manual"))
    accounts = {
        "hf_in": Account("ann"),
        "hf_out": Account("bob", reads=frozenset({"owner/other"})),
    }
    with faulty_hub(repositories, settings=HubSettings(accounts=accounts)) as hub:

        def fetch(name: str, token: str | bool) -> str:
            cache = tmp_path / str(token)
            return snapshot_download(name, cache_dir=cache, endpoint=hub.url, token=token)

        with pytest.raises(RepositoryNotFoundError):
            fetch("owner/hidden", token=False)
        with pytest.raises(RepositoryNotFoundError):
            fetch("owner/hidden", token="hf_out")
        with pytest.raises(GatedRepoError) as anonymous:
            fetch("owner/gated", token=False)
        with pytest.raises(GatedRepoError) as refused:
            fetch("owner/gated", token="hf_out")
        with pytest.raises(HfHubHTTPError) as unknown:
            api(hub, "hf_wrong").model_info("owner/gated")
        assert read_all(fetch("owner/hidden", token="hf_in")) == FILES
        assert read_all(fetch("owner/gated", token="hf_in")) == FILES
        assert api(hub, "hf_in").whoami()["name"] == "ann"
        assert api(hub).model_info("owner/gated").gated == "manual"
        stored = [record for record in hub.log.records if record.origin == "storage"]

    assert anonymous.value.response.status_code == 401
    assert refused.value.response.status_code == 403
    assert unknown.value.response.status_code == 401
    assert [record.status for record in stored] == [200, 200]
    assert not any("authorization" in record.headers for record in stored)


def test_a_renamed_repository_is_found_under_its_old_name(hub: FaultyHub, tmp_path: Path) -> None:
    hub.repositories.commit(MODEL, FILES)
    hub.repositories.set_access(RepoRef("old/name"), Access(moved_to="owner/model"))

    folder = snapshot_download("old/name", cache_dir=tmp_path, endpoint=hub.url, token=False)

    assert read_all(folder) == FILES
    assert api(hub).model_info("old/name").id == "owner/model"


def peer_environment(hub: FaultyHub, home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONWARNINGS": "ignore",
    }


def test_the_hf_command_downloads(hub: FaultyHub, tmp_path: Path) -> None:
    hub.repositories.commit(MODEL, FILES)
    target = tmp_path / "here"
    command = str(Path(sys.executable).parent / "hf")

    done = subprocess.run(
        [command, "download", "owner/model", "--local-dir", target],
        env=peer_environment(hub, tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert {n: c for n, c in read_all(target).items() if not n.startswith(".cache")} == FILES


MAKE_TOKENIZER = """
    import json, pathlib, sys
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    text = ["holdfast holds models fast", "models hold"]
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=["[UNK]", "[PAD]"])
    tokenizer.train_from_iterator(text, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]"
    )
    fast.save_pretrained(sys.argv[1])
    config = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1,
              "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 60}
    pathlib.Path(sys.argv[1], "config.json").write_text(json.dumps(config))
    print(json.dumps(fast("holdfast holds")["input_ids"]))
"""
USE_TOKENIZER = """
    import json
    from transformers import AutoConfig, AutoTokenizer
    config = AutoConfig.from_pretrained("owner/tiny")
    tokenizer = AutoTokenizer.from_pretrained("owner/tiny")
    ids = tokenizer("holdfast holds")["input_ids"]
    print(json.dumps({"ids": ids, "size": config.hidden_size}))
"""


def test_transformers_loads_a_configuration_and_a_tokenizer(hub: FaultyHub, tmp_path: Path) -> None:
    environment = peer_environment(hub, tmp_path / "home")

    def python(code: str, *arguments: str) -> str:
        command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    made = json.loads(python(MAKE_TOKENIZER, str(hub.repositories.root / "owner" / "tiny")))
    used = json.loads(python(USE_TOKENIZER))

    assert used == {"ids": made, "size": 8}
    assert len(made) == 2
