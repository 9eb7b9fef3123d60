"""The page that answers while a slider moves: numbers, file, server and a real browser."""

import html
import json
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from starsmith.cli.explore.build_page import build_page, check_size
from starsmith.cli.explore.page_data import page_bank
from starsmith.cli.explore.server import PageServer, is_loopback
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.noise.budget import noise_budget
from starsmith.data_contract.noise.view import snr_statistics
from starsmith.fisher.information.bounds import fisher_information
from starsmith.fisher.information.crlb import crlb_from_gram
from starsmith.fisher.information.nuisances import Nuisances
from starsmith.fisher.information.waterfall import waterfall
from starsmith.fisher.stars import star_at
from starsmith.fisher.survey.exposure_plan import Goal
from starsmith.fisher.survey.star_plan import plan_stars
from starsmith.simulator.instruments import load_instrument, noise_tables
from starsmith.simulator.planning.forecast import observing_conditions
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import flux_of
from starsmith.simulator.rendering.reddened import reddening_tables
from tests.cli.conftest import call
from tests.conftest import make_toy_bank

PAGE = Path(build_page.__code__.co_filename).parent
SKY = {
    "seeing": 0.9,
    "zenith_angle": 33.3,
    "field_angle": 0.31,
    "moon_phase": 0.4,
    "moon_zenith_angle": 50.0,
    "moon_target_angle": 75.0,
    "exp_time": 700.0,
    "exp_count": 5.0,
}
STAR = {"teff": 4620.0, "logg": 2.2, "m_h": -0.7, "mag": 20.3}
NODE = """
const fs = require("fs"), [, , script, folder] = process.argv;
const { makeModel } = require(script);
const page = JSON.parse(fs.readFileSync(`${folder}/page.json`));
const data = fs.readFileSync(`${folder}/page.bin`);
const model = makeModel(page, data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
const { star, sky, wanted } = JSON.parse(fs.readFileSync(`${folder}/state.json`));
const found = model.answer(star, sky), plain = (v) => (ArrayBuffer.isView(v) ? Array.from(v) : v);
const terms = Object.fromEntries(Object.entries(found.terms).map(([k, v]) => [k, plain(v)]));
console.log(JSON.stringify({
  flux: plain(found.flux), variance: plain(found.variance), terms,
  snr: found.snr, bounds: found.bounds,
  exposures: model.exposures(found, sky, "logg", wanted),
}));
"""


@pytest.fixture(scope="module")
def bank():
    """Toy stars seen by PFS at medium resolution, with moon and dust."""
    instrument = load_instrument("pfs_mr")
    toy = make_toy_bank(600)
    tables = noise_tables(instrument)
    pixels = slice(1500, 2100)
    cut = {
        name: getattr(tables, name)[..., pixels]
        for name in ("wave", "conversion", "sky_rate", "moon_rate")
    }
    noise = replace(tables, **cut)
    band = [toy.band_coef * factor for factor in (1.0, 0.8, 0.5, 0.3, 0.2, 0.12, 0.1)]
    return replace(toy, wave=noise.wave, noise=noise, reddening=reddening_tables(noise.wave, band))


def answer(bank, tmp_path, star, sky, wanted=0.3):
    """What the page's script says of a state."""
    if shutil.which("node") is None:
        pytest.skip("no node on this machine to run the page's script with")
    made = page_bank(bank)
    page = {
        "labels": [{"name": name} for name in bank.label_names],
        "arms": [{"name": arm.name} for arm in bank.noise.arms],
        "conditions": list(SKY),
        "arrays": made.arrays,
    }
    (tmp_path / "page.json").write_text(json.dumps(page))
    (tmp_path / "page.bin").write_bytes(bytes(made.data))
    (tmp_path / "state.json").write_text(json.dumps({"star": star, "sky": sky, "wanted": wanted}))
    (tmp_path / "run.js").write_text(NODE)
    words = ["node", str(tmp_path / "run.js"), str(PAGE / "model.js"), str(tmp_path)]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def states(bank):
    """The toy stars of the checks, as the simulator has them."""
    prior = Prior.default()
    some = replace(star_at(bank, prior, STAR), conditions=observing_conditions(**SKY))
    return prior, some


@pytest.mark.parametrize("ebv", [0.0, 0.7])
def test_the_page_says_what_the_commands_say(bank, tmp_path, ebv):
    """To 1e-3: flux, variance by cause, S/N, bounds of every label, exposures."""
    said = answer(bank, tmp_path, STAR | {"ebv": ebv}, SKY)
    prior, star = states(bank)
    flux = flux_of(bank, replace(star, ebv=np.array([ebv]))).astype(np.float64)
    budget = noise_budget(bank.noise, flux, star.conditions)
    variance = budget.variance / (SKY["exp_count"] * budget.sensitivity**2)
    np.testing.assert_allclose(said["flux"], flux[0], rtol=1e-3)
    np.testing.assert_allclose(said["variance"], variance[0], rtol=1e-3)
    for name, term in said["terms"].items():
        atol = 1e-6 * budget.variance.max()
        np.testing.assert_allclose(
            term, np.broadcast_to(budget.terms[name], flux.shape)[0], 1e-3, atol
        )
    assert said["snr"] == pytest.approx(snr_statistics(flux, np.sqrt(variance))["snr"][0], 1e-3)
    if ebv:
        return
    moving = fisher_information(bank, star, nuisances=Nuisances(velocity=True))
    rv = crlb_from_gram(moving.gram, moving.names.index("rv")).sigma2[0] ** 0.5
    assert said["bounds"]["rv"]["sigma"] == pytest.approx(rv, rel=2e-3)  # ends of the spline differ
    nuisances = Nuisances(continuum=3, velocity=True, sky=True)
    steps = waterfall(bank, star, "logg", bank.label_names, nuisances)
    sigmas = [sigma for _, sigma in said["bounds"]["logg"]["steps"]]
    assert sigmas == pytest.approx([step.sigma for step in steps], rel=2e-3)
    gram = fisher_information(bank, star).gram
    for k, name in enumerate(bank.label_names):
        bounds = crlb_from_gram(gram, k)
        assert said["bounds"][name]["sigma"] == pytest.approx(bounds.sigma2[0] ** 0.5, rel=1e-3)
        assert said["bounds"][name]["known"] == pytest.approx(bounds.fixed[0] ** 0.5, rel=1e-3)
    prior = prior.with_ranges(**{name: (value, value) for name, value in SKY.items()})
    goal = Goal(sigma={"logg": 0.3}, max_time=1e7)
    assert said["exposures"] == plan_stars(bank, prior, star, goal).exp_count[0]


def test_a_moving_star_is_shifted_to_a_pixel_fraction(bank, tmp_path):
    """Lines lie where the Doppler shift puts them, by the script's own interpolation."""
    rest = answer(bank, tmp_path, STAR, SKY)["flux"]
    moved = answer(bank, tmp_path, STAR | {"rv": 150.0}, SKY)["flux"]
    back = np.interp(bank.wave, bank.wave / (1 + 150.0 / 299792.458), moved)
    inside = slice(20, -20)
    np.testing.assert_allclose(back[inside], np.array(rest)[inside], rtol=2e-3)
    assert np.max(np.abs(np.array(moved) / rest - 1)) > 0.02


def test_a_page_is_one_whole_file_that_asks_for_nothing(bank_file, tmp_path):
    done = call("specsim explore", "--bank", bank_file, "--page", tmp_path / "star.html")
    assert done.exit_code == 0, done.stderr
    text = (tmp_path / "star.html").read_text()
    assert "TOY BANK" in text
    assert "default-src 'none'" in text
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|blob:)|https?://|@import""", text)
    again = call("specsim explore", "--bank", bank_file, "--page", tmp_path / "star.html")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--page star.txt", "written as .html"),
        ("--page star.html --model .", "--model needs the server"),
        ("--host 203.0.113.1 --no-browser", "cannot be served"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(bank_file, tmp_path, monkeypatch, line, says):
    monkeypatch.chdir(tmp_path)
    done = call(f"specsim explore {line}", "--bank", bank_file)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(bank):
    page = build_page(bank, {"grid": "toy"})
    shown = page._repr_html_()
    frame = re.fullmatch(r'<iframe srcdoc="([^"]*)" style="[^"]*"></iframe>', shown)
    assert html.unescape(frame[1]) == page


def test_a_page_that_grows_too_large_is_refused():
    with pytest.raises(ConfigError, match=r"this page would be 6\.0 MB"):
        check_size("x" * 6_000_000)


@contextmanager
def served(host="127.0.0.1", rows=None):
    """A server in a thread of its own."""
    with PageServer(host, 0, "<p>page</p>", rows) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(url, data=None, **headers):
    """Status and content of a reply."""
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode()


def read_rows(path):
    if b"bad" in path.read_bytes():
        raise DataError(f"{path}: no column of wavelengths")
    return [{"spectrum": path.name, "by": "ridge"}]


def test_the_server_sends_one_page_and_reads_spectra():
    with served(rows=read_rows) as server:
        assert ask(server.url) == (200, "<p>page</p>")
        assert ask(f"{server.url}etc/passwd")[0] == 404
        status, reply = ask(f"{server.url}estimate?name=../../my%20star.fits", b"good")
        assert (status, json.loads(reply)["rows"][0]["spectrum"]) == (200, "_.._my_star.fits")
        status, reply = ask(f"{server.url}estimate?name=star.ecsv", b"bad")
        assert (status, json.loads(reply)) == (
            200,
            {"error": "star.ecsv: no column of wavelengths"},
        )


def test_pages_of_other_sites_and_names_of_other_hosts_are_turned_away():
    with served(rows=read_rows) as server:
        assert ask(server.url, Host="evil.example:80")[0] == 403
        assert ask(f"{server.url}estimate", b"good", Origin="http://evil.example")[0] == 403


def test_a_file_too_large_is_not_read():
    with served(rows=read_rows) as server:
        assert ask(f"{server.url}estimate", b"", **{"Content-Length": "99999999999"})[0] == 413


def test_two_browsers_are_answered_at_once():
    with served(rows=read_rows) as server, ThreadPoolExecutor(2) as pool:
        assert set(pool.map(ask, [server.url] * 16)) == {(200, "<p>page</p>")}


def test_whoever_is_elsewhere_needs_the_token():
    with served("0.0.0.0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert ask(url)[0] == 200
        assert ask(url.partition("?")[0])[0] == 403
        assert ask(url + "x")[0] == 403
    assert not is_loopback("0.0.0.0")
    assert is_loopback("::1")
    assert not is_loopback("localhost.evil.example")


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = [(1280, 900, "light"), (390, 844, "light"), (1280, 900, "dark")]


@pytest.fixture
def browser():
    """A real browser without a window; what it asks of any other machine is refused and told."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {BROWSERS} is on this machine")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def open_page(browser, url, width, height, scheme):
    """The page, and a list that fills with all that goes wrong."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda problem: wrong.append(str(problem)))

    def refuse(route):
        wrong.append(route.request.url)
        route.abort()

    page.route(lambda url: not re.match(r"(http://127\.0\.0\.1:|file:|data:|blob:)", url), refuse)
    page.goto(url)
    page.wait_for_function("document.getElementById('command').textContent")
    return page, wrong


INK = """(id) => { const c = document.getElementById(id);
  const seen = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  return new Set(seen).size; }"""


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "scheme"), SIZES)
def test_every_control_of_the_page_moves_it(bank, browser, width, height, scheme):
    """In a real browser: figures hold something, nothing is complained of, nothing overflows."""
    with PageServer("127.0.0.1", 0, build_page(bank, {"grid": "toy"})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page, wrong = open_page(browser, server.url, width, height, scheme)
        for control in page.query_selector_all("#controls input[type=range]"):
            before = page.inner_text("#command")
            control.focus()
            page.keyboard.press(
                "ArrowLeft" if control.get_attribute("id") == "r-mag" else "ArrowRight"
            )
            changed = "(text) => document.getElementById('command').textContent !== text"
            page.wait_for_function(changed, arg=before)
        page.check("#marks")
        page.click("#map", position={"x": 150, "y": 90})
        page.wait_for_timeout(200)
        assert (
            min(page.evaluate(INK, name) for name in ("spectrum", "variance", "map", "faint")) > 20
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not page.is_visible("#problem")
        assert not wrong
        server.shutdown()


@pytest.mark.slow
def test_the_numbers_on_the_page_are_those_of_the_command_it_shows(bank, browser, tmp_path):
    bank.save(tmp_path / "bank.zarr")
    done = call("specsim explore --page", tmp_path / "p.html", "--bank", tmp_path / "bank.zarr")
    assert done.exit_code == 0, done.stderr
    state = "&".join(f"{k}={v}" for k, v in {**STAR, **SKY}.items())
    page, wrong = open_page(browser, f"file://{tmp_path}/p.html#{state}", 1280, 900, "light")
    info, star = (
        json.loads(call(f"{page.inner_text(place)} --json").stdout)
        for place in ("#bound", "#command")
    )
    sigma = page.inner_text("#bounds tr:nth-child(2) td:nth-child(2)").split()[0]
    snr = page.inner_text("#snr td:nth-child(2)")
    assert (sigma, snr) == (f"{info['sigma']:.3g}", f"{star['snr']:.3g}")
    assert not wrong
