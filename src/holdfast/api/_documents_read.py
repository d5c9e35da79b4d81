"""Requests about documents, received and read: forms with files, and JSON with sources."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, NamedTuple

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from holdfast.api._documents_asked import (
    chunking_of,
    file_name,
    flag_of,
    headers_of,
    options_of,
    source_of,
    target_of,
)
from holdfast.api._uploads import Upload, received_object, received_upload
from holdfast.documents import ConvertOptions, DocumentRequestInvalid, Source, check_url

__all__ = ["Order", "Reader", "Taken", "chunks", "conversion", "received"]

_MOST_FILES = 200
_MOST_CALLBACKS = 5
# Whatever reads JSON keeps everybody else waiting meanwhile; files in forms do not.
_MOST_JSON_BYTES = 64_000_000
_PIECE = 1 << 18
# Fields of a form that may come several times.
_LISTS = frozenset({"from_formats", "to_formats", "ocr_lang", "page_range"})


class Taken(NamedTuple):
    """What somebody sent: documents, their contents in pieces, and what is said of them."""

    sources: Sequence[Source]
    contents: Sequence[Any]
    said: Mapping[str, Any]
    form: bool


class Order(NamedTuple):
    """What is to be done. ``about`` is what is needed to tell of it later."""

    sources: Sequence[Source]
    contents: Sequence[Any]
    options: ConvertOptions
    about: Mapping[str, Any]


Reader = Callable[[Taken, ConvertOptions], Order]


@contextlib.asynccontextmanager
async def received(
    request: Request, limit_bytes: int, usual: ConvertOptions, read: Reader
) -> AsyncIterator[Order]:
    """Receive a request and read it; its files are gone when the block ends.

    Raises:
        HoldfastError: it is too large, broken, or asks for what there is not.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        _, content = await received_object(request, min(limit_bytes, _MOST_JSON_BYTES))
        yield await run_in_threadpool(lambda: read(_taken_json(content), usual))
        return
    async with received_upload(
        request, limit_bytes, _MOST_FILES, parts=("files", "file")
    ) as upload:
        yield read(_taken_form(upload), usual)


def _taken_form(upload: Upload) -> Taken:
    said: dict[str, Any] = {}
    for field, value in upload.pairs:
        name = field.removesuffix("[]")
        option = name.removeprefix("convert_")
        if option in _LISTS and name in said:
            before = said[name]
            said[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            said[name] = value
    sources = [Source(file_name(name)) for name in upload.names]
    return Taken(sources, [_pieces(file) for file in upload.files], said, form=True)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _taken_json(content: Mapping[str, Any]) -> Taken:
    given = content.get("sources")
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_FILES:
        raise DocumentRequestInvalid(
            "sources cannot be used", why=f"it is no list of 1 to {_MOST_FILES} documents",
            hint='"sources": [{"kind": "http", "url": "https://..."}]', param="sources",
        )  # fmt: skip
    found = [source_of(each, at) for at, each in enumerate(given)]
    rest = {name: value for name, value in content.items() if name != "sources"}
    return Taken([each[0] for each in found], [each[1] for each in found], rest, form=False)


def _callbacks(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read who wants to be called back."""
    given = said.get("callbacks") or []
    if not isinstance(given, list) or len(given) > _MOST_CALLBACKS:
        raise _no_callback(f"it is no list of at most {_MOST_CALLBACKS}")
    found = []
    for each in given:
        if not isinstance(each, dict) or each.get("ca_cert"):
            raise _no_callback("each is an object with a url, and headers; no ca_cert is taken")
        url = str(each.get("url", ""))
        check_url(url)
        found.append({"url": url, "headers": headers_of(each.get("headers"), "callbacks")})
    return found


def _no_callback(why: str) -> DocumentRequestInvalid:
    return DocumentRequestInvalid(
        "callbacks cannot be used", why=why, hint='"callbacks": [{"url": "https://..."}]',
        param="callbacks",
    )  # fmt: skip


def _object(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = said.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DocumentRequestInvalid(
            f"{name} cannot be used", why="it is no object", hint=f'"{name}": {{}}', param=name
        )
    return value


def _check_names(said: Iterable[str], known: Sequence[str]) -> None:
    for name in said:
        if name not in known:
            raise DocumentRequestInvalid(
                f"there is no field {name[:40]!r}", why=f"there are {', '.join(known)}",
                hint="see /openapi.json", param=name[:40],
            )  # fmt: skip


def _target(said: Mapping[str, Any], *, form: bool) -> str:
    if form:
        return target_of(said.get("target_type", "inbody"))
    return target_of(_object(said, "target").get("kind", "inbody"))


def conversion(taken: Taken, usual: ConvertOptions) -> Order:
    """Read what is to be converted; in a form the options are fields of their own."""
    if taken.form:
        given = {name: value for name, value in taken.said.items() if name != "target_type"}
    else:
        _check_names(taken.said, ("options", "target", "callbacks"))
        given = dict(_object(taken.said, "options"))
    asked = options_of(given, usual)
    about = {
        "task": "convert", "target": _target(taken.said, form=taken.form),
        "documents": len(taken.sources), "notes": asked.notes,
        "callbacks": [] if taken.form else _callbacks(taken.said),
    }  # fmt: skip
    return Order(taken.sources, taken.contents, asked.options, about)


def chunks(kind: str) -> Reader:
    """Return what reads what is to be cut into pieces by a chunker of this kind."""

    def read(taken: Taken, usual: ConvertOptions) -> Order:
        said = taken.said
        convert: Mapping[str, Any]
        cut: Mapping[str, Any]
        if taken.form:
            convert, cut = _prefixed(said, "convert_"), _prefixed(said, "chunking_")
            others = [name for name in said if not name.startswith(("convert_", "chunking_"))]
            _check_names(others, ("include_converted_doc", "target_type"))
        else:
            names = ("convert_options", "chunking_options", "include_converted_doc", "target",
                     "callbacks")  # fmt: skip
            _check_names(said, names)
            convert, cut = _object(said, "convert_options"), _object(said, "chunking_options")
        if _target(said, form=taken.form) != "inbody":
            raise DocumentRequestInvalid(
                "target cannot be used", why="pieces are JSON, and are not packed",
                hint="inbody", param="target",
            )  # fmt: skip
        include = flag_of(said.get("include_converted_doc", False), "include_converted_doc")
        asked = options_of(convert, usual)
        outputs = asked.options.outputs if include else ()
        about = {
            "task": "chunk", "target": "inbody", "documents": len(taken.sources),
            "notes": asked.notes, "outputs": list(outputs), "include": include,
            "callbacks": [] if taken.form else _callbacks(said),
        }  # fmt: skip
        options = replace(
            asked.options, outputs=(*outputs, "chunks"), chunking=chunking_of(kind, cut)
        )
        return Order(taken.sources, taken.contents, options, about)

    return read


def _prefixed(said: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value for name, value in said.items() if name.startswith(prefix)
    }
