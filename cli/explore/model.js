"use strict";
// One star under one sky: the forward model, the noise and the bounds of a bank's page, in the
// units of the commands (flux 1e-17 erg/s/cm²/Å, vacuum Å, counts in electrons per exposure).
// Twin of simulator/rendering, data_contract/noise/detector.py and fisher/information.

const LIGHT_KM_S = 299792.458;
const RAD = Math.PI / 180;

function unpack(page, bytes) {
  const arrays = {};
  for (const [name, [kind, shape, offset]] of Object.entries(page.arrays))
    arrays[name] = new globalThis[kind](bytes, offset, shape.reduce((a, b) => a * b, 1));
  return arrays;
}

function median(values) {
  const sorted = Float64Array.from(values).sort();
  return 0.5 * (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]);
}

// Node at or below x, and the fraction of the way to the next; NaN outside.
function bracket(nodes, x) {
  if (!(x >= nodes[0] && x <= nodes[nodes.length - 1])) return [0, NaN];
  let k = 0;
  while (k < nodes.length - 2 && nodes[k + 1] <= x) k++;
  return [k, (x - nodes[k]) / (nodes[k + 1] - nodes[k])];
}

// B-splines that are not zero at x, or their slopes: Cox and de Boor's recursion.
function basisRow(knots, degree, x, slope) {
  let span = degree;
  while (span < knots.length - degree - 2 && knots[span + 1] <= x) span++;
  let basis = [1], lower = [];
  for (let p = 1; p <= degree; p++) {
    lower = basis;
    basis = new Array(p + 1).fill(0);
    for (let r = 0; r < p; r++) {
      const left = knots[span + 1 + r - p], right = knots[span + 1 + r];
      const share = lower[r] / (right - left);
      basis[r] += (right - x) * share;
      basis[r + 1] += (x - left) * share;
    }
  }
  if (slope) {
    basis.fill(0);
    for (let r = 0; r < degree; r++) {
      const share = (degree * lower[r]) / (knots[span + 1 + r] - knots[span + 1 + r - degree]);
      basis[r] -= share;
      basis[r + 1] += share;
    }
  }
  return [span - degree, basis];
}

function makeModel(page, bytes) {
  const T = unpack(page, bytes);
  const n = T.wave.length, nMode = T.mode_step.length, nNode = T.level.length;
  const nStrong = T.strong.length / nNode;
  const modes = new Float32Array(nMode * n);
  for (let k = 0; k < nMode; k++)
    for (let j = 0; j < n; j++) modes[k * n + j] = T.modes[k * n + j] * T.mode_step[k];
  const amplitude = new Float64Array(nNode * nMode);
  for (let i = 0; i < nNode; i++)
    for (let k = 0; k < nMode; k++) {
      const weak = k - nStrong;
      const share = weak < 0 ? T.strong[i * nStrong + k] : T.weak[weak * nNode + i] * T.weak_step[weak];
      amplitude[i * nMode + k] = T.level[i] * share;
    }
  const axes = page.labels.map((label, k) =>
    ({ name: label.name, nodes: T[`nodes_${k}`], knots: T[`knots_${k}`], degree: T[`degree_${k}`][0] }));
  const knotOf = Array.from(T.wave, (wave) => bracket(T.knot_wave, wave));
  const arms = page.arms.map((arm, k) => ({ ...arm, k, start: T.arm_edge[k], stop: T.arm_edge[k + 1] }));

  // Rows of the bank that a star is a sum of, and their weights.
  function weights(star, along) {
    let rows = [0], share = [1];
    for (const axis of axes) {
      const [first, basis] = basisRow(axis.knots, axis.degree, star[axis.name], axis.name === along);
      const nextRows = [], nextShare = [];
      rows.forEach((row, i) => basis.forEach((b, p) => {
        nextRows.push(row * axis.nodes.length + first + p);
        nextShare.push(share[i] * b);
      }));
      rows = nextRows;
      share = nextShare;
    }
    return [rows, share];
  }

  const sum = (table, rows, share) => rows.reduce((total, row, i) => total + share[i] * table[row], 0);

  function mix(rows, share, scale) {
    const mixed = new Float64Array(nMode), flux = new Float64Array(n);
    rows.forEach((row, i) => {
      for (let k = 0; k < nMode; k++) mixed[k] += scale * share[i] * amplitude[row * nMode + k];
    });
    for (let k = 0; k < nMode; k++) {
      const height = mixed[k], at = k * n;
      for (let j = 0; j < n; j++) flux[j] += height * modes[at + j];
    }
    return flux;
  }

  // Band flux behind dust over that without: the polynomial through its logarithm.
  function dimming(rows, share, ebv) {
    const most = T.ebv[T.ebv.length - 1], bare = sum(T.dust_band, rows, share);
    let log = 0;
    T.ebv.forEach((node, e) => {
      let term = Math.log(sum(T.dust_band.subarray(e * nNode, (e + 1) * nNode), rows, share) / bare);
      T.ebv.forEach((other) => { if (other !== node) term *= (ebv - other) / (node - other); });
      log += term;
    });
    return most ? Math.exp(log) : 1;
  }

  // Light of the same star receding at rv, by six neighbouring pixels; edges repeat.
  function shifted(flux, rv) {
    if (!rv) return flux;
    const out = new Float64Array(n);
    for (const arm of arms) {
      const step = (T.wave[arm.stop - 1] - T.wave[arm.start]) / (arm.stop - 1 - arm.start);
      for (let j = arm.start; j < arm.stop; j++) {
        const rest = T.wave[j] / (1 + rv / LIGHT_KM_S);
        const place = Math.min(Math.max((rest - T.wave[arm.start]) / step, 0), arm.stop - arm.start - 1);
        const first = Math.min(Math.max(Math.floor(place) - 2, 0), arm.stop - arm.start - 6);
        for (let a = 0; a < 6; a++) {
          let weight = 1;
          for (let b = 0; b < 6; b++) if (b !== a) weight *= (place - first - b) / (a - b);
          out[j] += weight * flux[arm.start + first + a];
        }
      }
    }
    return out;
  }

  // Noiseless flux, and its slopes by the labels named.
  function light(star, names = []) {
    const [rows, share] = weights(star);
    if (rows.some((row, i) => T.filled[row] && share[i])) throw new Error("the grid has no star here");
    const maggies = sum(T.band, rows, share), ebv = star.ebv || 0;
    let scale = 10 ** (-0.4 * star.mag) / maggies;
    if (ebv) scale /= dimming(rows, share, ebv);
    const seen = (values) => {
      const moved = shifted(values, star.rv || 0);
      return ebv ? moved.map((v, j) => v * 10 ** (-0.4 * ebv * T.dust[j])) : moved;
    };
    const rest = mix(rows, share, scale);
    const slopes = names.map((name) => {
      const [at, along] = weights(star, name);
      const band = sum(T.band, at, along) / maggies;
      return seen(mix(at, along, scale).map((v, j) => v - band * rest[j]));
    });
    return { flux: seen(rest), slopes };
  }

  // Krisciunas & Schaefer (1991): the moonlit sky in V by molecules and by aerosols [nanolambert].
  function moonlight(sky) {
    const phase = ((sky.moon_phase % 1) + 1) % 1;
    if (!phase || sky.moon_zenith_angle >= 90) return [0, 0];
    const angle = 360 * Math.abs(phase - 0.5);
    const path = (z) => 1 / Math.sqrt(1 - 0.96 * Math.sin(z * RAD) ** 2);
    const k = T.moon_extinction[0];
    let moon = 10 ** (-0.4 * (3.84 + 0.026 * angle + 4e-9 * angle ** 4));
    if (angle < 7) moon *= 1.35 - 0.05 * angle;
    moon *= 10 ** (-0.4 * k * path(sky.moon_zenith_angle)) * (1 - 10 ** (-0.4 * k * path(sky.zenith_angle)));
    const apart = sky.moon_target_angle;
    return [moon * 2.29e5 * (1.06 + Math.cos(apart * RAD) ** 2), moon * 10 ** (6.15 - apart / 40)];
  }

  // Sensitivity, and light of the dark and of the moonlit sky, in one exposure; the last one is kept.
  let kept = {};
  function exposure(sky) {
    const key = page.conditions.filter((name) => name !== "exp_count").map((name) => sky[name]).join();
    if (kept.key !== key) kept = { key, ...expose(sky) };
    return kept;
  }

  function expose(sky) {
    const at = (nodes, values, x) => {
      const [k, f] = bracket(nodes, x);
      return values[k] + f * (values[k + 1] - values[k]);
    };
    const airmass = 1 / Math.cos(sky.zenith_angle * RAD);
    const blurred = sky.seeing * airmass ** T.seeing_power[0];
    const [s, sf] = bracket(T.seeing, blurred), [d, df] = bracket(T.field_angle, sky.field_angle);
    const nField = T.field_angle.length, nKnot = T.knot_wave.length, rank = T.aperture_columns.length / nKnot;
    const smooth = new Float64Array(nKnot);
    for (const [row, share] of [[s * nField + d, (1 - sf) * (1 - df)], [s * nField + d + 1, (1 - sf) * df],
      [(s + 1) * nField + d, sf * (1 - df)], [(s + 1) * nField + d + 1, sf * df]])
      for (let r = 0; r < rank; r++)
        for (let k = 0; k < nKnot; k++)
          smooth[k] += share * T.aperture_rows[row * rank + r] * T.aperture_columns[r * nKnot + k];
    smooth.forEach((v, k) => { smooth[k] = v * 10 ** (-0.4 * T.extinction[k] * airmass); });
    const area = at(T.field_angle, T.collecting_area, sky.field_angle);
    const seen = area * at(T.field_angle, T.fibre_area, sky.field_angle) * sky.exp_time;
    const [z, zf] = bracket(T.zenith_angle, sky.zenith_angle), skyRank = T.sky_columns.length / n;
    const [molecules, aerosols] = moonlight(sky);
    const sensitivity = new Float64Array(n), dark = new Float64Array(n), moon = new Float64Array(n);
    for (let j = 0; j < n; j++) {
      const [k, f] = knotOf[j];
      sensitivity[j] = area * sky.exp_time * T.conversion[j] * (smooth[k] + f * (smooth[k + 1] - smooth[k]));
      for (let r = 0; r < skyRank; r++) {
        const height = (1 - zf) * T.sky_rows[z * skyRank + r] + zf * T.sky_rows[(z + 1) * skyRank + r];
        dark[j] += seen * height * T.sky_columns[r * n + j];
      }
      moon[j] = seen * (molecules * T.moon[j] + aerosols * T.moon[n + j]);
    }
    return { sensitivity, dark, moon };
  }

  // Variance of one exposure without the star, by cause [electron²].
  function quiet(sky, dark, moon) {
    const terms = Object.fromEntries(["sky", "moon", "floor", "stray", "dark", "read"]
      .map((name) => [name, new Float64Array(n)]));
    for (const { k, start, stop } of arms) {
      const excess = T.sample_factor[k], factor = T.variance_factor[k] * excess;
      const floor = T.floor_fraction[k] * Math.sqrt(sky.exp_count / excess);
      let mean = 0;
      for (let j = start; j < stop; j++) mean += (dark[j] + moon[j]) / (stop - start);
      for (let j = start; j < stop; j++) {
        let brightest = 0;
        for (let i = Math.max(j - 1, start); i <= Math.min(j + 1, stop - 1); i++)
          brightest = Math.max(brightest, dark[i] + moon[i]);
        terms.sky[j] = factor * dark[j];
        terms.moon[j] = factor * moon[j];
        terms.floor[j] = factor * (floor * brightest) ** 2;
        terms.stray[j] = factor * T.stray_fraction[k] * mean;
        terms.dark[j] = factor * T.dark_rate[k] * sky.exp_time;
        terms.read[j] = (factor * T.read_variance[k]) / excess;
      }
    }
    return terms;
  }

  // Variance of the coadd [flux²], and of one exposure by cause [electron²].
  function noise(flux, sky) {
    const { sensitivity, dark, moon } = exposure(sky), terms = quiet(sky, dark, moon);
    const object = new Float64Array(n), variance = new Float64Array(n), causes = Object.values(terms);
    for (const { k, start, stop } of arms)
      for (let j = start; j < stop; j++) {
        object[j] = T.sample_factor[k] * Math.max(sensitivity[j] * flux[j], 0);
        let total = object[j];
        for (const cause of causes) total += cause[j];
        variance[j] = total / (sky.exp_count * sensitivity[j] ** 2);
      }
    return { variance, terms: { object, ...terms } };
  }

  // Derivative by wavelength of the not quite cubic spline through the pixels of every arm: slopes
  // that make second derivatives meet, s[j-1] + 4 s[j] + s[j+1] = 3 (f[j+1] - f[j-1]) / step.
  function alongWave(flux) {
    const slope = new Float64Array(n);
    for (const { start, stop } of arms) {
      const size = stop - start, step = (T.wave[stop - 1] - T.wave[start]) / (size - 1);
      const ratio = new Float64Array(size), side = new Float64Array(size);
      side[0] = (flux[start + 1] - flux[start]) / step;
      for (let i = 1; i < size - 1; i++) {
        const pivot = 4 - ratio[i - 1];
        ratio[i] = 1 / pivot;
        side[i] = ((3 * (flux[start + i + 1] - flux[start + i - 1])) / step - side[i - 1]) / pivot;
      }
      slope[stop - 1] = (flux[stop - 1] - flux[stop - 2]) / step;
      for (let i = size - 2; i >= 0; i--) slope[start + i] = side[i] - ratio[i] * slope[start + i + 1];
    }
    return slope;
  }

  // Columns of the Jacobian by name: labels, amplitude, continuum of degree 3, velocity, sky left over.
  function columnsOf({ flux, slopes }, sky) {
    const low = T.wave.reduce((a, b) => Math.min(a, b)), high = T.wave.reduce((a, b) => Math.max(a, b));
    const x = T.wave.map((wave) => (2 * (wave - low)) / (high - low) - 1), slope = alongWave(flux);
    const { sensitivity, dark, moon } = exposure(sky);
    return {
      ...Object.fromEntries(names.map((name, k) => [name, slopes[k]])),
      amplitude: flux,
      continuum_0: flux.map((f, j) => f * x[j]),
      continuum_1: flux.map((f, j) => f * (2 * x[j] ** 2 - 1)),
      continuum_2: flux.map((f, j) => f * (4 * x[j] ** 3 - 3 * x[j])),
      rv: slope.map((s, j) => (-T.wave[j] / LIGHT_KM_S) * s),
      sky: sensitivity.map((s, j) => (dark[j] + moon[j]) / s),
    };
  }

  // Information of columns under a variance, each column first brought to unit information.
  function information(columns, variance) {
    const all = Object.values(columns).map((column) => column.map((v, j) => v / Math.sqrt(variance[j])));
    const length = all.map((column) => Math.sqrt(column.reduce((sum, v) => sum + v * v, 0)));
    const gram = all.map((a, i) => all.slice(0, i + 1).map((b, j) => {
      let total = 0;
      for (let p = 0; p < n; p++) total += a[p] * b[p];
      return total / (length[i] * length[j] || 1);
    }));
    return { at: Object.keys(columns), length, of: (i, j) => (j <= i ? gram[i][j] : gram[j][i]) };
  }

  // Cramér-Rao bound of the last of `chosen` columns, the others unknown: Cholesky's last pivot.
  function bound({ at, length, of }, chosen) {
    const order = chosen.map((name) => at.indexOf(name)), low = [];
    for (let i = 0; i < order.length; i++) {
      low.push([]);
      for (let j = 0; j <= i; j++) {
        let left = of(order[i], order[j]);
        for (let k = 0; k < j; k++) left -= low[i][k] * low[j][k];
        low[i].push(i === j ? Math.sqrt(Math.max(left, 0)) : left / low[j][j]);
      }
    }
    return 1 / (low[order.length - 1][order.length - 1] * length[order[order.length - 1]]);
  }

  // Columns that are unknown beside a target: the labels and the amplitude.
  const unknown = (target) => [...names.filter((name) => name !== target), "amplitude", target];

  // Bounds of labels and velocity; and for each, what every further unknown makes of it.
  function bounds(seen, sky, variance) {
    const found = information(columnsOf(seen, sky), variance), out = {};
    for (const target of [...names, "rv"]) {
      const groups = [[target], ...names.filter((name) => name !== target).map((name) => [name]), ["amplitude"],
        ["continuum_0", "continuum_1", "continuum_2"], ...(target === "rv" ? [] : [["rv"]]), ["sky"]];
      let joined = [];
      const steps = groups.map((group, k) => {
        joined = k ? [...group, ...joined] : group;
        return [k ? group[0].replace("_0", ", degree 3") : "all else known", bound(found, joined)];
      });
      out[target] = { sigma: bound(found, unknown(target)), known: steps[0][1], steps };
    }
    return out;
  }

  const names = axes.filter((axis) => axis.nodes.length > 1).map((axis) => axis.name);
  // Median S/N over the pixels of some arms, each times a factor of its pixel.
  const snrOf = (flux, variance, some, factor) => {
    const ratio = new Float64Array(some.reduce((total, { start, stop }) => total + stop - start, 0));
    let at = 0;
    for (const { start, stop } of some)
      for (let j = start; j < stop; j++) ratio[at++] = (flux[j] / Math.sqrt(variance[j])) * (factor ? factor[j] : 1);
    return median(ratio);
  };
  const width = Float64Array.from(T.wave, (wave, j) => {
    const { start, stop } = arms.find((arm) => j < arm.stop);
    return (T.wave[stop - 1] - T.wave[start]) / (stop - 1 - start);
  });
  const perAngstrom = width.map((step) => 1 / Math.sqrt(step)), perElement = Float64Array.from(T.element, Math.sqrt);

  // All of one state: `used` are the arms that count, by name; the others measure nothing.
  function answer(star, sky, used = arms.map((arm) => arm.name)) {
    const seen = light(star, names), { variance, terms } = noise(seen.flux, sky);
    const some = arms.filter((arm) => used.includes(arm.name));
    for (const arm of arms) if (!some.includes(arm)) variance.fill(Infinity, arm.start, arm.stop);
    const table = some.map((arm) => ({ name: arm.name, pixel: snrOf(seen.flux, variance, [arm]),
      angstrom: snrOf(seen.flux, variance, [arm], perAngstrom), element: snrOf(seen.flux, variance, [arm], perElement) }));
    return {
      flux: seen.flux, variance, terms, seen, some, table,
      snr: snrOf(seen.flux, variance, some),
      bounds: bounds(seen, sky, variance),
    };
  }

  // Least number of exposures whose bound is below the wanted one, or Infinity beyond `most`.
  function exposures({ seen, some }, sky, target, wanted, most = 10000) {
    const every = columnsOf(seen, sky), chosen = unknown(target);
    const columns = Object.fromEntries(chosen.map((name) => [name, every[name]]));
    const reaches = (count) => {
      const { variance } = noise(seen.flux, { ...sky, exp_count: count });
      for (const arm of arms) if (!some.includes(arm)) variance.fill(Infinity, arm.start, arm.stop);
      return bound(information(columns, variance), chosen) <= wanted;
    };
    if (!reaches(most)) return Infinity;
    let below = 0, above = most;
    while (above - below > 1) {
      const middle = (below + above) >> 1;
      if (reaches(middle)) above = middle; else below = middle;
    }
    return above;
  }

  return { answer, exposures, light, noise, snrOf, names, axes, arms, wave: T.wave };
}

if (typeof module !== "undefined") module.exports = { makeModel };
