"""Checkpoints that were changed, cut short, mixed or made to harm: whole or refused."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from starsmith.data_contract.errors import ContractError, StarsmithError
from starsmith.learners import fit, load_checkpoint, load_recipe
from starsmith.learners.checkpoint import CARD, CARD_SUM, WEIGHTS, changed_parts
from starsmith.learners.estimators.tree_text import check_tree_text
from tests.learners.worlds import lines, make_data, uniform_logg

MODELS = ("ridge", "lightgbm", "mlp")
FEW = {"ridge": {}, "lightgbm": {"rounds": 5, "threads": 1}, "mlp": {"epochs": 1}}
BAD_CARDS = [
    ("labels", []),
    ("labels", ["logg", "logg"]),
    ("labels", ["age"]),
    ("labels", "logg"),
    ("units", ["K"]),
    ("units", None),
    ("model", 3),
    ("options", []),
    ("recipe", "ridge"),
    ("dataset__digest", 7),
    ("dataset__n_train", -1),
    ("wave__n_wave", 10**12),
    ("wave__n_wave", True),
    ("wave__min", "8500"),
    ("wave__min", float("nan")),
    ("limits__labels", {"logg": [1]}),
    ("limits__snr", None),
    ("n_parameters", 1.5),
    ("finished", "yes"),
    ("metrics", []),
    ("weights_sha256", 0),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A finished checkpoint of each kind; never written to."""
    out = tmp_path_factory.mktemp("models")
    data = make_data(lines, uniform_logg, 0.2, (100, 40, 40))
    for model in MODELS:
        fit(model, data.training(), "logg", load_recipe(model, **FEW[model]), out / model)
    return out


@pytest.fixture
def copy(folders, tmp_path):
    """Copies to damage."""
    return shutil.copytree(folders, tmp_path / "models")


def as_of_before(folder, **changes):
    """Make a checkpoint like those that carried no digests, with some entries changed."""
    (folder / CARD_SUM).unlink(missing_ok=True)
    card = json.loads((folder / CARD).read_text())
    card.pop("files", None)
    for name, value in changes.items():
        holder = card
        *path, last = name.split("__")
        for step in path:
            holder = holder[step]
        holder[last] = value
    (folder / CARD).write_text(json.dumps(card))


@pytest.mark.parametrize("model", MODELS)
def test_every_flip_is_found(copy, model):
    """Whatever decides a prediction, or says what was trained: one bit is enough."""
    folder = copy / model
    load_checkpoint(folder)
    card = json.loads((folder / CARD).read_text())
    assert set(card["files"]) | {CARD, CARD_SUM} == {
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    } - ({"metrics.jsonl"} if model != "mlp" else set())
    rng = np.random.default_rng(3)
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.name in ("metrics.jsonl", "state.safetensors"):
            continue
        whole = file.read_bytes()
        for _ in range(4):
            changed = bytearray(whole)
            changed[rng.integers(len(whole))] ^= 1 << rng.integers(8)
            file.write_bytes(changed)
            with pytest.raises(StarsmithError):
                load_checkpoint(folder)
        file.write_bytes(whole)
    load_checkpoint(folder)


def test_a_log_is_looked_at_by_verification_alone(copy):
    """It decides no prediction; what it says of training is vouched for all the same."""
    folder = copy / "mlp"
    (folder / "metrics.jsonl").write_text("{}\n")
    load_checkpoint(folder)
    card = json.loads((folder / CARD).read_text())
    assert list(changed_parts(folder, card)) == ["metrics.jsonl was changed"]


@pytest.mark.parametrize("model", MODELS)
def test_those_of_before_open_with_one_warning(copy, model, caplog):
    """No digest, no claim."""
    as_of_before(copy / model)
    load_checkpoint(copy / model)
    assert [r.message for r in caplog.records if "before files carried" in r.message] != []
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("entry", "value"), BAD_CARDS)
def test_a_card_is_checked_before_it_is_used(copy, entry, value):
    """Types, labels, units, and numbers that are finite."""
    as_of_before(copy / "ridge", **{entry: value})
    with pytest.raises(ContractError, match=entry.replace("__", r"\.").split(r"\.")[0]) as caught:
        load_checkpoint(copy / "ridge")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("wave", lambda values: values[:-1]),
        ("wave", lambda values: values + 1.0),
        ("normaliser.mean", lambda values: values * np.nan),
        ("normaliser.std", lambda values: values * 0.0),
        ("target.mean", lambda values: values.astype(np.int64)),
        ("target.std", lambda values: np.repeat(values, 2)),
        ("model.weights", lambda values: values + np.inf),
        ("model.weights", lambda values: values.T),
        ("model.intercept", lambda values: None),
        ("normaliser.mean", lambda values: None),
    ],
)
def test_arrays_fit_the_card_and_are_finite(copy, name, make):
    """Even where the hash in the card is theirs."""
    folder = copy / "ridge"
    tensors = load_file(folder / WEIGHTS)
    changed = make(tensors.pop(name))
    if changed is not None:
        tensors[name] = np.ascontiguousarray(changed)
    save_file(tensors, folder / WEIGHTS)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    as_of_before(folder, weights_sha256=digest)
    with pytest.raises(ContractError, match=r"model\.safetensors|weights"):
        load_checkpoint(folder)


def test_options_of_a_card_take_no_memory(copy):
    """A network of a billion weights is not built to find that they are not those stored."""
    as_of_before(copy / "mlp", options={"widths": [2**20, 2**20]})
    with pytest.raises(ContractError, match="do not fit"):
        load_checkpoint(copy / "mlp")


def test_a_file_elsewhere_is_not_read(copy):
    """Names in a card stay within the folder."""
    folder = copy / "ridge"
    card = json.loads((folder / CARD).read_text())
    card["files"]["../../x"] = {"bytes": 1, "sha256": "0"}
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(ContractError, match="elsewhere"):
        load_checkpoint(folder)


def test_changed_lines_of_trees_are_found_without_digests(folders):
    """Every line of the trees of an older checkpoint: refused by us, never by the parser's end."""
    path = next((folders / "lightgbm/trees").iterdir())
    content = path.read_bytes()
    card = json.loads((folders / "lightgbm" / CARD).read_text())
    n_wave = card["wave"]["n_wave"]
    check_tree_text(content, n_wave)
    lines = content.split(b"\n")
    end = lines.index(b"end of trees")
    passed = []
    for k in range(min(end, 40)):
        for other in (b"", b"x", lines[k] + b" 7", lines[k][:-1], lines[k].replace(b"1", b"-9")):
            changed = b"\n".join([*lines[:k], other, *lines[k + 1 :]])
            try:
                check_tree_text(changed, n_wave)
                passed.append(changed.decode())
            except ValueError:
                pass
    assert 0 < len(passed) < 60  # such as another threshold, which only a digest can tell
    program = (
        "import json, sys, lightgbm as l; [l.Booster(model_str=t) for t in json.load(sys.stdin)]"
    )
    subprocess.run([sys.executable, "-c", program], input=json.dumps(passed).encode(), check=True)


def test_foreign_text_is_no_model(tmp_path):
    """Cut short, binary, another pixel grid, cycles."""
    text = Path(__file__).read_bytes()
    for content in (b"", b"tree", b"\xff" * 100, text, b"tree\n\n"):
        with pytest.raises(ValueError, match=r".+"):
            check_tree_text(content, 300)
