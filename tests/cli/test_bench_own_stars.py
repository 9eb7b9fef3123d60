"""`speclearn bench embeddings --data`: vectors judged on stars of one's own."""

import json

from tests.cli.conftest import call


def test_vectors_of_ones_own_stars_have_no_ceiling(dataset, tmp_path):
    """Readers learn from the data set's labels; what the best possible is, is not said."""
    (tmp_path / "suite.toml").write_text(
        'embeddings = ["pca-6", "basis-6", "aligned.split"]\nreaders = ["ridge"]\n'
        "n = [200, 5000]\ndraws = 1\n"
    )
    words = ("--suite", tmp_path / "suite.toml", "--data", dataset, "--out", tmp_path / "e")
    done = call("speclearn bench embeddings --json --device cpu", *words)
    assert done.exit_code == 0, done.output
    assert "left out: aligned.split" in done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {(row["embedding"], row["n"]) for row in rows} == {("pca-6", 200), ("basis-6", 200)}
    assert all(row["low"] <= row["r2"] <= row["high"] for row in rows)
    assert {row["ratio"] for row in rows} == {None}
    page = (tmp_path / "e" / "embeddings.md").read_text()
    assert "300 pixels" in page
    assert "eiling" not in page
    done = call("speclearn bench embeddings --grid", dataset, *words)
    assert done.exit_code == 2
    assert "drop --grid" in done.output
