"""Checkpoints on a model hub: what is pushed is listed, what is pulled is checked against the list.

A repository holds the files that the card lists with size and SHA-256, the card, its digest, and a
README. Nothing else goes up or comes down, and never a pickle.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from starsmith.data_contract.errors import ConfigError, ContractError, DataError
from starsmith.data_contract.files.digests import hash_file
from starsmith.data_contract.files.outside import read_json
from starsmith.data_contract.text_tables import text_table
from starsmith.learners.checkpoint import CARD, CARD_SUM, read_checkpoint, verify_checkpoint
from starsmith.learners.model_page import model_page

__all__ = ["FolderHub", "Hub", "HuggingFaceHub", "hub_of", "pull", "push"]

README = "README.md"
PLAIN = (".json", ".jsonl", ".toml", ".safetensors", ".txt", ".md")
"""Endings of files that run no code when they are opened."""


class Hub(Protocol):
    """A place that keeps folders of files by name."""

    def upload(self, folder: Path, repo: str, private: bool) -> str:
        """Put a folder's files into a repository; return where they are."""

    def download(self, repo: str, revision: str | None, folder: Path) -> None:
        """Copy a repository's files into an empty folder."""


class FolderHub:
    """Repositories as folders of this computer: a mirror, or a push to look at first."""

    def __init__(self, place: Path):
        self.place = place

    def upload(self, folder: Path, repo: str, private: bool) -> str:
        """Copy the files; DataError where the repository is there already."""
        target = self.place / repo
        if target.exists():
            raise DataError(f"{target}: is there already; remove it, or choose another name")
        shutil.copytree(folder, target)
        return str(target)

    def download(self, repo: str, revision: str | None, folder: Path) -> None:
        """Copy the files back; DataError where there are none."""
        source = self.place / repo
        if not source.is_dir():
            raise DataError(f"{source}: no such repository; see what {self.place} holds")
        shutil.copytree(source, folder, dirs_exist_ok=True)


class HuggingFaceHub:
    """The Hugging Face Hub, by its own client, which knows the user's login."""

    def __init__(self):
        try:
            import huggingface_hub
        except ImportError:
            raise ConfigError(
                "hub: huggingface_hub is not installed; pip install 'starsmith[hub]', or use a "
                "folder with --folder"
            ) from None
        self.client = huggingface_hub

    def upload(self, folder: Path, repo: str, private: bool) -> str:
        """Create the repository if need be, and upload the files in one commit."""
        try:
            self.client.create_repo(repo, private=private, exist_ok=True)
            done = self.client.upload_folder(repo_id=repo, folder_path=str(folder))
        except Exception as problem:  # its own errors and its transport's have no other base
            raise DataError(
                f"hub: {repo}: {_line(problem)}; check the connection, or log in with "
                "`hf auth login`"
            ) from None
        return str(done)

    def download(self, repo: str, revision: str | None, folder: Path) -> None:
        """Fetch every file of plain endings."""
        patterns = [f"*{ending}" for ending in PLAIN]
        try:
            self.client.snapshot_download(
                repo, revision=revision, local_dir=str(folder), allow_patterns=patterns
            )
        except Exception as problem:  # as in `upload`
            raise DataError(
                f"hub: {repo}: {_line(problem)}; check its name, and the connection"
            ) from None


def _line(problem: Exception) -> str:
    """First line of a message."""
    return (str(problem).splitlines() or [type(problem).__name__])[0]


def hub_of(folder: Path | None) -> Hub:
    """The Hugging Face Hub, or a folder in its place; ConfigError if its client is missing."""
    return HuggingFaceHub() if folder is None else FolderHub(folder)


def push(
    checkpoint: Path,
    repo: str,
    hub: Hub,
    licence: str,
    ceiling: Path | None = None,
    private: bool = True,
) -> str:
    """Push a checkpoint with a model card; return where it is.

    Parameters
    ----------
    checkpoint : path
    repo : str
        ``owner/name``.
    hub : Hub
    licence : str
        Of the weights, as the hub names it: ``mit``, ``cc-by-4.0``, ...
    ceiling : path, optional
        What ``specfisher ceiling --json`` wrote: the best possible scores, for the card.
    private : bool
        Of a repository that is created.

    Raises
    ------
    DataError, ContractError
        If the folder is no whole checkpoint, or holds a file that may run code.
    """
    report = verify_checkpoint(checkpoint)
    if not report.ok:
        raise ContractError(f"{checkpoint}: damaged; `specdata verify {checkpoint}` says where")
    card, _ = read_checkpoint(checkpoint)
    names = _listed(card)
    _refuse_code(names, str(checkpoint))
    with tempfile.TemporaryDirectory() as place:
        staged = Path(place)
        for name in (*names, CARD, CARD_SUM):
            if (checkpoint / name).exists():
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(checkpoint / name, staged / name)
        digest = hash_file(checkpoint / CARD)["sha256"]
        (staged / README).write_text(readme(card, digest, repo, licence, ceiling))
        return hub.upload(staged, repo, private)


def _listed(card: Mapping) -> list[str]:
    """Files that a card lists."""
    return [*card.get("files", {})]


def _refuse_code(names: list[str], where: str) -> None:
    """DataError where a name is a path out of the folder, or its ending is none of `PLAIN`."""
    for name in names:
        path = Path(name)
        inside = not path.is_absolute() and ".." not in path.parts
        data = bool({"trees", "bank.zarr"} & set(path.parts[:1]))
        if not inside or (path.suffix not in PLAIN and not data):
            raise DataError(
                f"{where}: {name} may run code when it is opened, or lies elsewhere; files of a "
                f"checkpoint end in {', '.join(PLAIN)}"
            )


def readme(card: Mapping, digest: str, repo: str, licence: str, ceiling: Path | None) -> str:
    """Model card: what the hub reads at its top, the page of the model, and the ceiling."""
    top = f"---\nlicense: {licence}\nlibrary_name: starsmith\ntags: [spectra, stars]\n---\n\n"
    name = repo.rpartition("/")[2]
    parts = [model_page(card, digest, name), f"## Licence\n\n{licence}\n"]
    if ceiling is not None:
        parts.append(f"## Best possible\n\n{_ceiling_table(ceiling)}\n")
    parts.append(f"## Get it\n\n    speclearn hub pull {repo} --out {name}/\n")
    return top + "\n".join(parts)


def _ceiling_table(path: Path) -> str:
    """Rows of a ceiling file as a table; DataError if it is none."""
    content = read_json(path)
    try:
        table = content.get("ceiling", content)
        rows = [
            {"stars": row["name"], "n": row["n"]}
            | {f"R² {how}": f"{value[0]:.3f}" for how, value in row["r2"].items()}
            for row in table["rows"]
        ]
        return f"{table['target']} [{table['unit']}]\n\n{text_table(rows)}"
    except (KeyError, TypeError, AttributeError):
        raise DataError(
            f"{path}: no table of ceilings; make one with `specfisher ceiling --json`"
        ) from None


def pull(repo: str, out: Path, hub: Hub, revision: str | None = None) -> dict:
    """Pull a checkpoint, check it against its card, and leave it in a new folder.

    Parameters
    ----------
    repo : str
    out : path
        New folder.
    hub : Hub
    revision : str, optional
        Branch, tag or commit.

    Raises
    ------
    DataError
        If ``out`` is there, the repository holds no checkpoint, or a file that may run code.
    ContractError
        If a file is missing, not listed, or of another size or SHA-256 than its card says.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is there already; choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".pull-") as place:
        staged = Path(place) / "files"
        staged.mkdir()
        hub.download(repo, revision, staged)
        if not (staged / CARD).is_file():
            raise DataError(f"hub: {repo} holds no {CARD}, so no checkpoint of ours")
        shutil.rmtree(staged / ".cache", ignore_errors=True)  # of the client's downloads
        card = read_json(staged / CARD)
        _check_files(staged, card, repo)
        report = verify_checkpoint(staged)
        if not report.ok:
            raise ContractError(f"hub: {repo}: not the files its card lists; pull it again")
        if out.exists():
            out.rmdir()
        staged.rename(out)
    return card


def _check_files(folder: Path, card: Mapping, repo: str) -> None:
    """Refuse files that the card does not list, and others than it lists."""
    listed = card.get("files")
    if not isinstance(listed, Mapping) or not all(isinstance(r, Mapping) for r in listed.values()):
        raise ContractError(f"hub: {repo}: its card lists no files with sizes and SHA-256")
    _refuse_code([*listed], f"hub: {repo}")
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    if odd := sorted(there - {*listed, CARD, CARD_SUM, README, ".gitattributes"}):
        raise ContractError(f"hub: {repo}: holds {odd[0]}, which its card does not list")
    for name in _listed(card):
        path, record = folder / name, listed[name]
        if not path.is_file() or path.is_symlink():
            raise ContractError(f"hub: {repo}: {name} is missing; push it again")
        content = path.read_bytes()
        if len(content) != record.get("bytes"):
            raise ContractError(
                f"hub: {repo}: {name} has {len(content)} bytes, its card says "
                f"{record.get('bytes')}; pull it again"
            )
        if hashlib.sha256(content).hexdigest() != record.get("sha256"):
            raise ContractError(f"hub: {repo}: SHA-256 of {name} is not its card's; pull it again")
