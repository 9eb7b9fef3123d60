// The page itself: controls, curves and numbers of one state. Nothing here knows any physics.

const page = JSON.parse(document.getElementById("page").textContent);
const bytes = Uint8Array.from(atob(page.data), (c) => c.charCodeAt(0)).buffer;
const model = makeModel(page, bytes);
const $ = (id) => document.getElementById(id);
const controls = page.groups.flatMap((group) => group.controls);
const state = Object.fromEntries(controls.map((c) => [c.name, c.value]));
const goals = Object.fromEntries(page.targets.map((target) => [target.name, target.goal]));
let used = model.arms.map((arm) => arm.name), range = null, last = null, waiting = false;

const number = (value, digits = 3) => Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : "—";
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function buildControls() {
  for (const group of page.groups) {
    const box = document.createElement("fieldset");
    box.innerHTML = `<legend>${group.name}</legend>`;
    for (const c of group.controls) {
      const row = document.createElement("div");
      row.className = "control";
      row.innerHTML = `<span id="of-${c.name}">${c.text}</span>
        <input type="number" id="n-${c.name}" aria-labelledby="of-${c.name}" min="${c.low}" max="${c.high}" step="any">
        <input type="range" id="r-${c.name}" aria-labelledby="of-${c.name}" min="${c.low}" max="${c.high}" step="${c.step}">`;
      box.append(row);
    }
    $("controls").append(box);
  }
  if (model.arms.length > 1) buildArms();
  for (const c of controls)
    for (const kind of ["n", "r"])
      $(`${kind}-${c.name}`).addEventListener("input", (event) => {
        const value = event.target.valueAsNumber;
        if (Number.isFinite(value)) set({ [c.name]: value }, event.target);
      });
}

function buildTargets() {
  $("target").innerHTML = page.targets.map(({ name, text }) => `<option value="${name}">${text}</option>`).join("");
  $("target").value = "logg" in last.bounds ? "logg" : page.targets[0].name;
  $("target").addEventListener("change", showNumbers);
}

function buildArms() {
  const box = document.createElement("fieldset");
  box.innerHTML = "<legend>Arms</legend>" + used.map((name) => `<label><input type="checkbox" checked value="${name}"> ${name}</label> `).join("");
  box.addEventListener("change", () => {
    const chosen = [...box.querySelectorAll(":checked")].map((input) => input.value);
    if (chosen.length) used = chosen;
    show();
  });
  $("controls").append(box);
}

// New values, held to what the bank and the instrument know; one drawing a frame at most.
function set(values, origin) {
  for (const c of controls)
    if (c.name in values) state[c.name] = Math.min(Math.max(values[c.name], c.low), c.high);
  for (const c of controls)
    for (const kind of ["n", "r"])
      if ($(`${kind}-${c.name}`) !== origin) $(`${kind}-${c.name}`).value = Number(state[c.name].toFixed(4));
  if (!waiting) requestAnimationFrame(() => { waiting = false; show(); });
  waiting = true;
}

function show() {
  const begun = performance.now();
  try {
    last = model.answer(state, state, used);
    if (!(last.snr >= 0)) throw new Error("the instrument's tables do not reach this seeing at this airmass");
    $("problem").hidden = true;
  } catch (problem) {
    $("problem").textContent = `No answer here: ${problem.message}.`;
    $("problem").hidden = false;
    return;
  }
  drawSpectrum();
  document.body.dataset.milliseconds = (performance.now() - begun).toFixed(1);
  clearTimeout(rest);
  rest = setTimeout(showRest, 30); // once the curve is on the screen
}

let rest = 0;
function showRest() {
  drawVariance();
  showNumbers();
  drawMap();
  drawFaint();
  showCommands();
}

// An empty drawing with axes: returns the pen, and where a value lies on the canvas.
function axes(canvas, [x0, x1], [y0, y1], xText, yText) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d"), left = 52, right = width - 8, top = 8, bottom = height - 34;
  pen.scale(scale, scale);
  pen.font = "11px system-ui, sans-serif";
  const x = (v) => left + ((v - x0) / (x1 - x0)) * (right - left);
  const y = (v) => bottom - ((v - y0) / (y1 - y0)) * (bottom - top);
  pen.strokeStyle = colour("--line");
  pen.fillStyle = colour("--soft");
  pen.textAlign = "center";
  for (const v of ticks(x0, x1, width / 90)) {
    line(pen, [[x(v), bottom], [x(v), bottom + 4]]);
    pen.fillText(number(v, 5), x(v), bottom + 15);
  }
  pen.fillText(xText, (left + right) / 2, height - 4);
  pen.textAlign = "right";
  for (const v of ticks(y0, y1, height / 45)) {
    line(pen, [[left, y(v)], [right, y(v)]]);
    pen.fillText(number(v, 3), left - 5, y(v) + 4);
  }
  pen.save();
  pen.translate(10, (top + bottom) / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(yText, 0, 0);
  pen.restore();
  pen.beginPath();
  pen.rect(left, top, right - left, bottom - top);
  pen.clip();
  return { pen, x, y, left, right, top, bottom, from: (px) => x0 + ((px - left) / (right - left)) * (x1 - x0) };
}

function ticks(low, high, most) {
  const [a, b] = low < high ? [low, high] : [high, low], rough = (b - a) / Math.max(most, 2);
  const power = 10 ** Math.floor(Math.log10(rough)), step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  return Array.from({ length: Math.floor(b / step) - Math.ceil(a / step) + 1 }, (_, k) => (Math.ceil(a / step) + k) * step);
}

function line(pen, points) {
  pen.beginPath();
  points.forEach(([px, py], k) => (k ? pen.lineTo(px, py) : pen.moveTo(px, py)));
  pen.stroke();
}

// Pixels of the range shown, arm by arm.
function shown() {
  const { wave } = model, arms = last.some, [low, high] = range || [Math.min(...arms.map((a) => wave[a.start])), Math.max(...arms.map((a) => wave[a.stop - 1]))];
  return { low, high, parts: arms.map((arm) => {
    const pixels = [];
    for (let j = arm.start; j < arm.stop; j++) if (wave[j] >= low && wave[j] <= high) pixels.push(j);
    return pixels;
  }) };
}

let frame = null;
function drawSpectrum() {
  const { low, high, parts } = shown(), { flux, variance } = last, { wave } = model;
  const seen = parts.flat(), tops = Float64Array.from(seen, (j) => flux[j]).sort();
  const noise = Float64Array.from(seen, (j) => Math.sqrt(variance[j])).sort();
  const top = 1.08 * tops[tops.length - 1] + 1.5 * noise[noise.length >> 1];
  frame = axes($("spectrum"), [low, high], [Math.min(0, -noise[noise.length >> 1]), top], "vacuum wavelength [Å]", "flux [1e-17 erg/s/cm²/Å]");
  const { pen, x, y } = frame;
  if ($("marks").checked) drawMarks(frame);
  for (const pixels of parts) {
    pen.fillStyle = colour("--band");
    pen.beginPath();
    pixels.forEach((j) => pen.lineTo(x(wave[j]), y(flux[j] + Math.sqrt(variance[j]))));
    pixels.slice().reverse().forEach((j) => pen.lineTo(x(wave[j]), y(flux[j] - Math.sqrt(variance[j]))));
    pen.fill();
    pen.strokeStyle = colour("--curve");
    line(pen, pixels.map((j) => [x(wave[j]), y(flux[j])]));
  }
}

function drawMarks({ pen, x, top, bottom }) {
  pen.fillStyle = colour("--shade");
  for (const [from, to] of page.bands) pen.fillRect(x(from), top, x(to) - x(from), bottom - top);
  const sky = last.terms.sky, limit = 4 * median(sky);
  for (let j = 0; j < sky.length; j++) if (sky[j] > limit) pen.fillRect(x(model.wave[j]) - 0.5, bottom - 12, 1, 12);
  pen.fillStyle = pen.strokeStyle = colour("--soft");
  pen.textAlign = "center";
  const taken = [];
  for (const [name, wave] of page.lines) {
    const at = x(wave * (1 + state.rv / 299792.458)), half = pen.measureText(name).width / 2 + 3;
    line(pen, [[at, top + 14], [at, top + 24]]);
    if (taken.some(([from, to]) => at - half < to && at + half > from)) continue; // a tick alone
    pen.fillText(name, at, top + 11);
    taken.push([at - half, at + half]);
  }
}

function drawVariance() {
  const { low, high, parts } = shown(), { terms } = last, names = Object.keys(terms);
  const { pen, x, y } = axes($("variance"), [low, high], [0, 1], "vacuum wavelength [Å]", "fraction of variance");
  for (const pixels of parts) {
    const every = Math.max(1, Math.ceil(pixels.length / $("variance").clientWidth)); // a column a mean
    const places = [], shares = names.map(() => []);
    for (let i = 0; i + every <= pixels.length; i += every) {
      const some = pixels.slice(i, i + every);
      const totals = some.map((j) => names.reduce((sum, name) => sum + terms[name][j], 0));
      places.push(x(model.wave[some[every >> 1]]));
      names.forEach((name, k) => shares[k].push(some.reduce((sum, j, m) => sum + terms[name][j] / totals[m], 0) / every));
    }
    let below = places.map(() => 0);
    shares.forEach((share, k) => {
      const above = share.map((value, i) => below[i] + value);
      pen.fillStyle = page.palette[k];
      pen.beginPath();
      places.forEach((at, i) => pen.lineTo(at, y(above[i])));
      for (let i = places.length - 1; i >= 0; i--) pen.lineTo(places[i], y(below[i]));
      pen.fill();
      below = above;
    });
  }
  if (!$("terms").childElementCount)
    $("terms").innerHTML = names.map((name, k) => `<span class="key" style="--key:${page.palette[k]}">${name} </span>`).join("");
}

function showNumbers() {
  if (!$("target").options.length) buildTargets();
  fill("snr", last.table.map((arm) => [arm.name, number(arm.pixel), number(arm.angstrom), number(arm.element)]));
  fill("bounds", page.targets.filter(({ name }) => name in last.bounds).map(({ name, text, unit }) => {
    const { sigma, known } = last.bounds[name];
    const count = model.exposures(last, state, name, goals[name]);
    return [text, `${number(sigma)} ${unit}`, number(known), { name }, Number.isFinite(count) ? `${count} × ${number(state.exp_time, 4)} s` : "out of reach"];
  }));
  const { steps } = last.bounds[$("target").value];
  fill("steps", steps.map(([name, sigma], k) => [(k ? "+ " : "") + name, number(sigma), k ? `× ${number(sigma / steps[k - 1][1])}` : ""]));
}

// Rows of a table in plain text; a cell that is an object asks for the wanted error of a label.
function fill(id, rows) {
  const body = $(id);
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, i) => {
    const row = body.rows[i] || body.insertRow();
    cells.forEach((cell, j) => {
      const place = row.cells[j] || row.insertCell();
      if (typeof cell !== "object") place.textContent = cell;
      else if (!place.firstChild) {
        place.innerHTML = `<input type="number" min="0" step="any" aria-label="wanted error of ${cell.name}" value="${goals[cell.name]}">`;
        place.firstChild.addEventListener("input", (event) => { if (event.target.value > 0) { goals[cell.name] = event.target.valueAsNumber; showNumbers(); } });
      }
    });
  });
}

let map = null;
function drawMap() {
  const [teff, logg] = ["teff", "logg"].map((name) => model.axes.find((axis) => axis.name === name));
  if (!teff || !logg) { $("map").parentElement.hidden = true; return; }
  const ends = (nodes) => { const pad = 0.04 * (nodes[nodes.length - 1] - nodes[0]); return [nodes[nodes.length - 1] + pad, nodes[0] - pad]; };
  map = axes($("map"), ends(teff.nodes), ends(logg.nodes), "effective temperature [K]", "log g");
  map.pen.fillStyle = colour("--soft");
  for (const t of teff.nodes) for (const g of logg.nodes) map.pen.fillRect(map.x(t) - 1, map.y(g) - 1, 2, 2);
  map.pen.fillStyle = colour("--star");
  map.pen.beginPath();
  map.pen.arc(map.x(state.teff), map.y(state.logg), 6, 0, 7);
  map.pen.fill();
}

function drawFaint() {
  const { mag } = Object.fromEntries(controls.map((c) => [c.name, c])), points = [];
  for (let m = Math.max(state.mag - 3, mag.low); m <= Math.min(state.mag + 3, mag.high); m += 0.5) {
    const flux = last.flux.map((f) => f * 10 ** (-0.4 * (m - state.mag)));
    points.push([m, model.snrOf(flux, model.noise(flux, state).variance, last.some)]);
  }
  const { pen, x, y } = axes($("faint"), [points[0][0], points[points.length - 1][0]], [-1, Math.log10(Math.max(...points.map((p) => p[1]))) + 0.1], "AB magnitude", "log10 S/N");
  pen.strokeStyle = colour("--curve");
  line(pen, points.map(([m, snr]) => [x(m), y(Math.log10(snr))]));
  pen.fillStyle = colour("--star");
  pen.beginPath();
  pen.arc(x(state.mag), y(Math.log10(last.snr)), 5, 0, 7);
  pen.fill();
}

const flag = (name) => `--${name.replaceAll("_", "-")}`;
function showCommands() {
  const value = (name) => number(state[name], 7), labels = page.labels.map(({ name }) => name);
  const words = (names) => names.map((name) => `${flag(name)} ${value(name)}`).join(" ");
  const star = labels.map((name) => `${name}=${value(name)}`).join(","), sky = words(page.conditions) + page.options;
  const sometimes = ["rv", "ebv"].filter((name) => state[name]);
  $("command").textContent = `specsim spectrum ${words([...labels, "mag", ...sometimes])} ${sky}`;
  $("bound").textContent = `specfisher info --star ${star} --mag ${value("mag")} ${sky}`;
  const ranges = ["mag", ...page.conditions].map((name) => `${name}=(${value(name)}, ${value(name)})`).join(", ");
  $("python").textContent = `import starsmith
from starsmith.fisher import fisher_information, star_at

bank = starsmith.cached_bank(${page.bank})
prior = starsmith.Prior.default().with_ranges(${ranges})
star = star_at(bank, prior, dict(${star.replaceAll(",", ", ")}))
bounds = fisher_information(bank, star, "${model.names[0]}")`;
  history.replaceState(null, "", `#${new URLSearchParams(Object.entries(state).map(([k, v]) => [k, Number(v.toFixed(4))]))}`);
}

function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function ecsv(columns, rows, comment) {
  const types = columns.map(([name, unit]) => `# - {name: ${name}, ${unit ? `unit: ${unit}, ` : ""}datatype: float64}\n`).join("");
  const lines = rows.map((row) => row.map((v) => number(v, 7).replace("—", "nan")).join(" ")).join("\n");
  return new Blob([`# %ECSV 1.0\n# ---\n# datatype:\n${types}# meta: {comment: '${comment}'}\n# schema: astropy-2.0\n${columns.map(([name]) => name).join(" ")}\n${lines}\n`], { type: "text/plain" });
}

// Exposures of every row of a table of targets, as `specfisher plan --stars` gives them.
async function plan(file) {
  const [head, ...rows] = (await file.text()).trim().split(/\r?\n/).map((row) => row.split(",").map((cell) => cell.trim()));
  const needed = [...page.labels.map((label) => label.name), "mag"], missing = needed.filter((name) => !head.includes(name));
  if (missing.length) throw new Error(`${file.name} has no column ${missing.join(", ")}; give it ${needed.join(",")}`);
  const table = rows.map((cells, k) => {
    const star = Object.fromEntries(needed.map((name) => [name, Number(cells[head.indexOf(name)])]));
    const outside = controls.find((c) => c.name in star && !(star[c.name] >= c.low && star[c.name] <= c.high));
    if (outside) throw new Error(`${file.name}, row ${k + 1}: ${outside.name} ${cells[head.indexOf(outside.name)]} is outside ${outside.low}..${outside.high}`);
    const seen = model.light({ ...star, rv: state.rv, ebv: state.ebv }, model.names);
    const count = Math.max(...model.names.map((name) => model.exposures({ seen, some: last.some }, state, name, goals[name])));
    return [...needed.map((name) => star[name]), count, state.exp_time];
  });
  save("plan.ecsv", ecsv([...needed.map((name) => [name]), ["exp_count"], ["exp_time", "s"]], table, "starsmith explore"));
}

// A dropped spectrum: the server's rows, or the line that the command would have said.
async function estimate(file) {
  const query = new URLSearchParams({ name: file.name, token: new URLSearchParams(location.search).get("token") || "" });
  const reply = await (await fetch(`estimate?${query}`, { method: "POST", body: file })).json();
  if (reply.error) throw new Error(reply.error);
  fill("estimates", reply.rows.map((row) => Object.values(row)));
}

function say(problem) { $("problem").textContent = problem.message; $("problem").hidden = false; }

function listen() {
  $("marks").addEventListener("change", show);
  $("whole").addEventListener("click", () => { range = null; show(); });
  $("link").addEventListener("click", () => navigator.clipboard.writeText(location.href));
  $("ecsv").addEventListener("click", () => {
    const rows = Array.from(model.wave, (wave, j) => [wave, last.flux[j], Math.sqrt(last.variance[j])]), unit = "1e-17 erg / (Angstrom s cm2)";
    save("spectrum.ecsv", ecsv([["wave", "Angstrom"], ["flux_model", unit], ["error", unit]], rows, $("command").textContent));
  });
  $("png").addEventListener("click", () => $("spectrum").toBlob((blob) => save("spectrum.png", blob)));
  $("targets").addEventListener("change", (event) => plan(event.target.files[0]).catch(say));
  if ($("spectra")) $("spectra").addEventListener("change", (event) => estimate(event.target.files[0]).catch(say));
  let from = null;
  $("spectrum").addEventListener("pointerdown", (event) => { from = frame.from(event.offsetX); });
  $("spectrum").addEventListener("pointerup", (event) => {
    const to = frame.from(event.offsetX);
    if (from !== null && Math.abs(to - from) > 5) { range = [Math.min(from, to), Math.max(from, to)]; show(); }
    from = null;
  });
  $("spectrum").addEventListener("pointermove", (event) => {
    const wave = frame.from(event.offsetX), j = model.wave.reduce((best, w, k) => (Math.abs(w - wave) < Math.abs(model.wave[best] - wave) ? k : best), 0);
    const sigma = Math.sqrt(last.variance[j]);
    $("pixel").textContent = `${model.wave[j].toFixed(1)} Å: flux ${number(last.flux[j])}, σ ${number(sigma)}, S/N ${number(last.flux[j] / sigma)}`;
  });
  $("map").addEventListener("click", (event) => {
    const box = $("map").getBoundingClientRect(), [top, bottom] = [map.top, map.bottom];
    const ends = model.axes.find((axis) => axis.name === "logg").nodes, pad = 0.04 * (ends[ends.length - 1] - ends[0]);
    const logg = ends[0] - pad + ((event.clientY - box.top - top) / (bottom - top)) * (ends[ends.length - 1] - ends[0] + 2 * pad);
    set({ teff: map.from(event.offsetX), logg });
  });
  addEventListener("resize", show);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  addEventListener("hashchange", fromLink);
}

function fromLink() {
  const given = new URLSearchParams(location.hash.slice(1)), values = {};
  for (const c of controls) { const v = Number(given.get(c.name)); if (given.has(c.name) && Number.isFinite(v)) values[c.name] = v; }
  set(values);
}

buildControls();
listen();
fromLink();
