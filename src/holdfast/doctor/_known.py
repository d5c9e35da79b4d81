"""Known failures, as libraries write them to logs: data. Each has a test on a captured log.

Patterns name codes and the libraries' own fixed words. What a system says in the user's language
(Windows translates its messages) is never relied on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from holdfast.checks import Severity

__all__ = ["KNOWN", "Known"]

_RUN = "holdfast run -- YOUR COMMAND    (or holdfast.activate() before the libraries' import)"


@dataclass(frozen=True, slots=True)
class Known:
    """One failure.

    Attributes:
        code: kebab-case name.
        pattern: found somewhere in a line that tells of it.
        why: what it means.
        cure: what to do, to be pasted where it is a command.
        severity: how grave it is.
        symptom: it follows from another failure; told only where no cause is found.
    """

    code: str
    pattern: re.Pattern[str] = field(repr=False)
    why: str
    cure: str
    severity: Severity = "error"
    symptom: bool = False


def _known(
    code: str, pattern: str, why: str, cure: str, severity: Severity = "error", *,
    symptom: bool = False,
) -> Known:  # fmt: skip
    return Known(code, re.compile(pattern), why, cure, severity, symptom)


# In order: of several that fit a line the first counts.
KNOWN = (
    _known(
        "link-refused",
        r"WinError 1314|[Cc]ould not create (a )?symbolic link|symlink privilege not held"
        r"|(PermissionError|OSError): \[Errno (1|13|38|95)\] [^:]*: '.+' -> '.+'",
        "a library makes a symbolic link, and the system refuses: on Windows that needs a right "
        "which users do not have",
        _RUN,
    ),
    _known(
        "link-race",
        r"(FileExistsError: \[Errno 17\]|WinError 183).*: '.+' -> '.+'",
        "several processes made the same link at once, and the library does not expect that",
        _RUN,
    ),
    _known(
        "links-missing",
        r"cache-system uses symlinks by default .* your machine does not support them",
        "huggingface_hub cannot make links here: every revision is downloaded and kept whole",
        _RUN,
        "warning",
    ),
    _known(
        "token-unreadable",
        r"\[Errno 13\] Permission denied: '[^']*/token'",
        "the token file lies in a folder that this user may not look into, usually another "
        "user's HF_HOME",
        "HF_TOKEN_PATH=/a/file/you/can/read YOUR COMMAND, or: " + _RUN,
    ),
    _known(
        "cache-denied",
        r"\[Errno 13\] Permission denied: '[^']*(\.cache|/cache|huggingface|/hub\b|models--|torch"
        r"|docling|doctr|nltk_data|easyocr|/data\b)[^']*'"
        r"|PermissionError at \S+ when downloading|Check cache directory permissions"
        r"|problem when trying to write in your cache folder|WinError 5\].*(\.cache|huggingface)",
        "the folder that models are kept in cannot be written by this user",
        "holdfast where    (finds one that can), then: " + _RUN,
    ),
    _known(
        "read-only",
        r"\[Errno 30\] |Read-only file system",
        "the folder that models are kept in is on a disk that is mounted read-only",
        "HOLDFAST_LAYERS=/the/read-only/home " + _RUN,
    ),
    _known(
        "no-home",
        r"Could not determine home directory|getpwuid\(\): uid not found",
        "this user has no home folder (an arbitrary user id in a container), and a library needs "
        "one at its import",
        _RUN,
    ),
    _known(
        "no-locks",
        r"\[Errno 37\] |No locks available|flock not supported on this filesystem",
        "the file system of the cache has no working locks (some network mounts): the library "
        "fails, or a lock left by a killed process makes the next one wait for ever",
        "holdfast pull OWNER/NAME    (needs no locks), or a home on a local disk: "
        "HOLDFAST_HOME=/... " + _RUN,
    ),
    _known(
        "quota",
        r"\[Errno 122\] |Disk quota exceeded",
        "this user's quota is used up",
        "holdfast collect, or a home elsewhere: HOLDFAST_HOME=/another/disk " + _RUN,
    ),
    _known(
        "no-space",
        r"\[Errno 28\] |No space left on device|WinError 112\]|Not enough free disk space",
        "the disk is full; what was downloaded so far may be left as an orphan, or truncated",
        "holdfast collect    (removes orphans), then: holdfast verify",
    ),
    _known(
        "filesystem-lacks",
        r"OSError: \[Errno (38|95)\] ",
        "the file system of the cache lacks an operation that the library takes for granted "
        "(changing modes, locks, links): FAT, exFAT, some network and FUSE mounts",
        "holdfast pull OWNER/NAME    (works there); or a home on another disk: HOLDFAST_HOME=/...",
    ),
    _known(
        "path-too-long",
        r"WinError 206\]|\[Errno 36\] |[Ff]ile name too long",
        "a path is longer than the system takes: 260 characters on Windows without long-path "
        "support, 255 bytes for one name elsewhere",
        "a short home: HOLDFAST_HOME=C:\\models (or /m) " + _RUN,
    ),
    _known(
        "file-in-use",
        r"WinError 32\]|\(os error 32\)",
        "another process has a file of the model open, and Windows keeps it from being replaced",
        "end the other process, then: holdfast verify",
    ),
    _known(
        "certificate-untrusted",
        r"CERTIFICATE_VERIFY_FAILED",
        "something between here and the Hub (a company's proxy) presents a certificate that this "
        "Python does not trust",
        "SSL_CERT_FILE=/path/to/company-ca.pem YOUR COMMAND    (holdfast itself asks the system)",
    ),
    _known(
        "proxy-refused",
        r"ProxyError|407 Proxy Authentication|Tunnel connection failed",
        "the proxy does not let the connection through",
        "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY: holdfast doctor",
    ),
    _known(
        "gated",
        r"GatedRepo|Cannot access gated repo|[Yy]ou are trying to access a gated repo",
        "the repository's conditions have to be accepted with the account that the token is of",
        "accept them on the model's page, then: HF_TOKEN=hf_... YOUR COMMAND",
    ),
    _known(
        "rate-limited",
        r"429 (Client Error|Too Many Requests)|HTTP Error 429|Too Many Requests",
        "the Hub answers no more requests from this address for a while",
        "HF_TOKEN=hf_... holdfast pull OWNER/NAME    (fewer requests, and it waits as asked)",
    ),
    _known(
        "hub-failed",
        r"\b50[0234] (Server Error|Internal Server Error|Bad Gateway|Service Unavailable"
        r"|Gateway Time-?out)|HTTP Error 50[0234]",
        "the Hub, or a proxy before it, failed",
        "holdfast pull OWNER/NAME    (tries again, and uses what is here meanwhile)",
    ),
    _known(
        "revision-not-found",
        r"RevisionNotFound|Revision Not Found for url",
        "the repository has no such branch, tag or commit",
        "holdfast plan OWNER/NAME@REVISION    (says what there is)",
    ),
    _known(
        "file-not-found",
        r"(?<!Local)EntryNotFound|Entry Not Found for url|not appear to have a file named",
        "the revision has no such file: a wrong name, or a repository in another layout",
        "holdfast plan OWNER/NAME    (lists its files)",
    ),
    _known(
        "repo-not-found",
        r"RepositoryNotFound|Repository Not Found for url|not a valid model identifier listed on",
        "there is no such repository, or it is private and the token does not open it",
        "check the name; for a private one: HF_TOKEN=hf_... YOUR COMMAND",
    ),
    _known(
        "offline",
        r"OfflineModeIsEnabled|outgoing traffic has been disabled|offline mode is enabled",
        "the library was told to use only what is here (HF_HUB_OFFLINE), and it is not all here",
        "with a network: holdfast pull OWNER/NAME, then as before; or holdfast doctor",
    ),
    _known(
        "no-connection",
        r"Connect(ion)?Error: |MaxRetryError|NewConnectionError|[Nn]ame or service not known"
        r"|[Tt]emporary failure in name resolution|getaddrinfo failed|Network is unreachable"
        r"|Connect(ion)?Timeout|ReadTimeout|Read timed out|[Cc]ouldn't connect to '",
        "the Hub cannot be reached from here",
        "holdfast doctor; with the models here already: holdfast run --offline -- YOUR COMMAND",
    ),
    _known(
        "size-mismatch",
        r"Consistency check failed: file should be of size",
        "the connection ended early, or something in between shortened the file",
        "holdfast pull OWNER/NAME    (goes on where it stopped, and checks the digest)",
    ),
    _known(
        "unsafe-checkpoint",
        r"Weights only load failed",
        "the checkpoint holds more than weights: loading it would run code from the repository",
        "use a revision with safetensors files: holdfast plan OWNER/NAME",
    ),
    _known(
        "corrupt-weights",
        r"deserializing header|HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer"
        r"|incomplete metadata, file not fully covered|PytorchStreamReader failed"
        r"|invalid load key|failed finding central directory",
        "a weights file is truncated, damaged, or not the weights at all (a Git LFS pointer, an "
        "error page)",
        "holdfast verify, then: holdfast repair OWNER/NAME",
    ),
    _known(
        "incomplete-snapshot",
        r"IncompleteSnapshotError",
        "a download was interrupted: the newest revision is known here, and not all of it",
        "holdfast repair OWNER/NAME",
    ),
    _known(
        "artifacts-missing",
        r"artifacts_path=.* is not valid|artifacts_path.*must point to a folder"
        r"|Missing artifacts|docling-tools models download",
        "docling was told to take its models from a folder, and they are not (all) there; it does "
        "not download in that case",
        "docling-tools models download -o \"$DOCLING_ARTIFACTS_PATH\", or unset that variable",
    ),
    _known(
        "builds-differ",
        r"operator torchvision::nms does not exist|No module named 'torchaudio'"
        r"|Could not import module '(PreTrained|Whisper)",
        "torch, torchvision and torchaudio are builds that do not fit together, or one is missing",
        "pip install torch torchvision torchaudio --index-url "
        "https://download.pytorch.org/whl/cpu    (all three from one place)",
    ),
    _known(
        "scratch-unwritable",
        r"Matplotlib created a temporary (config/)?cache directory|no locator available for file",
        "a library has no folder for its own cache: slow starts, or a failure where it insists",
        _RUN,
        "warning",
    ),
    _known(
        "not-cached",
        r"LocalEntryNotFoundError|cannot find the requested files in the local cache"
        r"|couldn't find (it|them) in the cached files",
        "the Hub gave no answer and the model is not here",
        "holdfast pull OWNER/NAME    (says what keeps it from coming)",
        symptom=True,
    ),
    _known(
        "engine-not-started",
        r"Failed to (initialize adapters|load ECAPA-TDNN model)",
        "the program could not load its models and went on; the cause is elsewhere in its log",
        "holdfast doctor, then: " + _RUN,
        symptom=True,
    ),
    _known(
        "permission-denied",
        r"\[Errno 13\] Permission denied|WinError 5\]",
        "a file or folder belongs to another user",
        "holdfast doctor; where it is a library's cache: " + _RUN,
    ),
)  # fmt: skip
