"""Downloads weights into the hub's cache: size, licence and destination first, then the files, resumable."""

from __future__ import annotations

import hashlib
import shutil
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from eyeshot.core import (
    SILENT,
    EyeshotError,
    InputError,
    ModelError,
    Progress,
    StorageError,
    make_folder,
    megabytes,
    shown_progress,
)
from eyeshot.models.hub import FILES, WAIT_S, cached_file, require_hub, torch_file, ways_on

BLOCK = 1 << 20
SILENCE_S = 30.0
"""A server that sends nothing for so long is given up."""
PARTIAL = 206
"""HTTP status of an answer to a range."""
SHA256_DIGITS = 64
"""The hub names large files by their SHA-256, small ones by another hash."""


class Download(NamedTuple):
    """The weights of one model: what would be downloaded, or was.

    Attributes:
        tag: timm's full tag.
        source: address of the file.
        bytes: its size.
        licence: of the weights; None if timm names none.
        destination: the folder of its repository in the hub's cache, or the file in that of torch.hub.
        file: the file on this machine; None while it is not here.
    """

    tag: str
    source: str
    bytes: int
    licence: str | None
    destination: Path
    file: Path | None


def plan_downloads(tags: Sequence[str]) -> list[Download]:
    """What fetching the weights of some models means, without downloading anything but a few headers.

    Raises:
        InputError: no tag was given.
        ModelError: timm has no such model or no weights for it, or the hub cannot be reached: told within seconds.
    """
    return [_plan(name, config) for name, config in check_fetchable(tags).items()]


def check_fetchable(tags: Sequence[str]) -> dict[str, Any]:
    """timm's configuration of each tag, by its full name; nothing is asked of the network.

    Raises:
        InputError: no tag was given.
        ModelError: timm has no such model or no weights for it.
    """
    from eyeshot.models import timm_models

    if not tags:
        raise InputError("Fetching takes at least one tag, got none. For instance: resnet18.a1_in1k.")
    resolved = [timm_models.resolve_tag(tag)[:2] for tag in dict.fromkeys(tags)]
    for name, config in resolved:
        if config is None or not (config.hf_hub_id or config.url):
            raise ModelError(
                f"A tag must have weights to be fetched, got {name!r}, for which timm has none. `eyeshot list models "
                f"'{name.partition('_')[0]}*'` lists those that have."
            )
    return dict(resolved)


def fetch_models(*tags: str, progress: Progress | bool | None = None) -> list[Download]:
    """Download weights into the hub's cache; those that are there already are left alone.

    A download that was interrupted continues where it stopped when the same tags are fetched again.

    Args:
        tags: timm's tags; an architecture alone means its default weights.
        progress: where to report; True shows it, False does not, None shows it in a terminal and in a notebook.

    Returns:
        one record per model, with the file on this machine.

    Raises:
        InputError: no tag was given.
        ModelError: as `plan_downloads`, or a download broke off.
        StorageError: the disk has no room for the files, or cannot be written.
    """
    with shown_progress(progress) as display:
        return download(plan_downloads(tags), progress=display)


def download(plans: Sequence[Download], *, progress: Progress = SILENT) -> list[Download]:
    """Carry out plans of `plan_downloads`.

    Raises:
        ModelError: a download broke off.
        StorageError: the disk has no room for the files, or cannot be written.
    """
    missing = [plan for plan in plans if plan.file is None]
    needed = sum(plan.bytes for plan in missing)
    for plan in missing:
        make_folder(plan.destination.parent)
        if (free := shutil.disk_usage(plan.destination.parent).free) < needed:
            raise StorageError(
                f"{megabytes(needed)} of weights need as much room on the disk of {str(plan.destination.parent)!r}, "
                f"which has {megabytes(free)}. Free some, or set HF_HOME to a folder on another disk."
            )
    return [plan if plan.file is not None else _download(plan, progress.sub(plan.tag)) for plan in plans]


def _plan(name: str, config: Any) -> Download:
    if config.hf_hub_id:
        repository, _, revision = str(config.hf_hub_id).partition("@")
        place = Path(constants.HF_HUB_CACHE) / ("models--" + repository.replace("/", "--"))
    else:
        place = torch_file(config)
    if file := cached_file(config):
        return Download(name, str(file), file.stat().st_size, config.license, place, file)
    require_hub(name, config)
    try:
        if not config.hf_hub_id:
            return Download(name, str(config.url), _content_length(str(config.url)), config.license, place, None)
        for candidate in (config.hf_hub_filename,) if config.hf_hub_filename else FILES:
            address = huggingface_hub.hf_hub_url(
                repository, candidate, revision=revision or None, endpoint=constants.ENDPOINT
            )
            try:
                size = huggingface_hub.get_hf_file_metadata(address, timeout=WAIT_S, endpoint=constants.ENDPOINT).size
            except huggingface_hub.errors.EntryNotFoundError:
                continue
            if size is None:
                raise OSError(f"no size was given for {address}")
            return Download(name, address, size, config.license, place, None)
    except Exception as error:  # of urllib, httpx or the hub's own classes: no access, no repository, no answer
        raise ModelError(ways_on(name, config, f"asking for their size failed ({_said(error)})")) from error
    raise ModelError(ways_on(name, config, f"the repository holds none of {', '.join(FILES)}"))


def _download(plan: Download, progress: Progress) -> Download:
    from eyeshot.models import timm_models

    _, config, _ = timm_models.resolve_tag(plan.tag)
    try:
        if config.hf_hub_id:
            _download_from_hub(plan, str(config.hf_hub_id), progress)
        else:
            _read_address(plan.source, plan.destination, plan.bytes, progress)
    except EyeshotError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            raise StorageError(
                f"{error.filename!r} cannot be written: {error.strerror}. Set HF_HOME to a folder that can."
            ) from error
        raise ModelError(
            f"The download of {plan.tag} broke off ({_said(error)}). The same command continues it; or copy the file "
            f"of {plan.source} and give it with --weights FILE."
        ) from error
    file = cached_file(config)
    if file is None:
        raise ModelError(f"{plan.tag} was downloaded to {str(plan.destination)!r}, but is not found there. Delete it.")
    return plan._replace(file=file)


def _download_from_hub(plan: Download, repository: str, progress: Progress) -> None:
    """The file comes by our own request, since the hub's library begins anew after a break (2.4 does).

    It lies where that library would put it, under its hash; the library then finds it and only links it.
    """
    repository, _, revision = repository.partition("@")
    known = huggingface_hub.get_hf_file_metadata(plan.source, timeout=WAIT_S, endpoint=constants.ENDPOINT)
    if known.etag is None or known.size != plan.bytes:
        raise OSError(f"the file changed: {known.size} bytes instead of {plan.bytes}")
    blob = plan.destination / "blobs" / known.etag
    make_folder(blob.parent)
    # A token is for the hub alone, and not for the servers that it sends on to.
    own = urllib.parse.urlsplit(known.location).netloc == urllib.parse.urlsplit(constants.ENDPOINT).netloc
    _read_address(known.location, blob, plan.bytes, progress, headers=build_hf_headers() if own else {})
    if len(known.etag) == SHA256_DIGITS and _sha256(blob) != known.etag:
        blob.unlink()
        raise OSError("its hash is not the one that the hub names, and the file was deleted")
    huggingface_hub.hf_hub_download(
        repository, plan.source.rsplit("/", 1)[-1], revision=revision or None, cache_dir=constants.HF_HUB_CACHE,
        endpoint=constants.ENDPOINT, etag_timeout=WAIT_S,
    )  # fmt: skip


def _read_address(
    address: str, file: Path, size: int, progress: Progress, headers: dict[str, str] | None = None
) -> None:
    """Download into `file` by way of an unfinished file beside it, which is continued if it is there."""
    part = file.with_name(f"{file.name}.part")
    have = part.stat().st_size if part.is_file() else 0
    have = have if have <= size else 0
    if have < size or not part.is_file():
        request = urllib.request.Request(address, headers={**(headers or {}), "Range": f"bytes={have}-"})
        with urllib.request.urlopen(request, timeout=SILENCE_S) as answer:
            have = have if answer.status == PARTIAL else 0  # otherwise the server begins anew
            with open(part, "ab" if have else "wb") as opened:
                while block := answer.read1(BLOCK):
                    opened.write(block)
                    have += len(block)
                    progress(have, size)
    if have != size:
        raise OSError(f"{have:,} of {size:,} bytes came")
    part.replace(file)


def _sha256(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _content_length(address: str) -> int:
    with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=WAIT_S) as answer:
        length = answer.headers.get("Content-Length")
    if not length:
        raise OSError("the server names no size")
    return int(length)


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
