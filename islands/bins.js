// Numbers about columns: bins, quantiles, what is left out. No drawing, and nothing of the page.

/** The finite values of a column by row, NaN where there is none, and how many of each kind are left out. */
export function numbers(result, index) {
  const values = new Float64Array(result.rows).fill(NaN);
  const out = { values, missing: 0, notNumbers: 0, infinite: 0 };
  for (let row = 0; row < result.rows; row++) {
    const value = result.value(row, index);
    if (value === null) out.missing++;
    else if (Number.isFinite(Number(value))) values[row] = Number(value);
    else if (Number.isNaN(Number(value))) out.notNumbers++;
    else out.infinite++;
  }
  return out;
}

export const finite = (values) => values.filter((value) => value === value);

/** Quantile of sorted values, linear between two of them. */
export function quantile(sorted, share) {
  const place = share * (sorted.length - 1), low = Math.floor(place);
  return sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

/** How many bins Freedman and Diaconis would make (1981): their width is twice the interquartile range by the cube root of n. */
export function binCount(sorted) {
  const width = (2 * (quantile(sorted, 0.75) - quantile(sorted, 0.25))) / Math.cbrt(sorted.length);
  const range = sorted.at(-1) - sorted[0];
  return width > 0 && range > 0 ? Math.min(200, Math.max(1, Math.ceil(range / width))) : 1;
}

/** Counts of values in bins of one width; the last bin holds its upper edge, as numpy.histogram has it. */
export function histogram(values, bins, low, high, chosen = null) {
  const counts = new Uint32Array(bins), of = new Uint32Array(bins);
  let outside = 0;
  const edge = (bin) => (bin === bins ? high : low + ((high - low) * bin) / bins);
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (value !== value) continue;
    if (value < low || value > high) {
      outside++;
      continue;
    }
    let bin = high > low ? Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins)) : 0;
    if (bin > 0 && value < edge(bin)) bin--;
    else if (bin < bins - 1 && value >= edge(bin + 1)) bin++;
    counts[bin]++;
    if (chosen?.[row]) of[bin]++;
  }
  return { counts, of, outside, edge };
}

/** n, what is left out, min, max, mean, median, standard deviation, distinct values; whole numbers are exact. */
export function statistics(result, index) {
  const { values, missing, notNumbers, infinite } = numbers(result, index);
  const sorted = finite(values).sort();
  const n = sorted.length;
  let least = null, most = null;
  const distinct = new Set();
  for (let row = 0; row < result.rows; row++) {
    const value = result.value(row, index);
    if (value === null || value !== value) continue;
    distinct.add(value);
    if (least === null || value < least) least = value;
    if (most === null || value > most) most = value;
  }
  const mean = n ? sorted.reduce((sum, value) => sum + value, 0) / n : null;
  const spread = n ? Math.sqrt(sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n) : null;
  return { n, missing, notNumbers, infinite, least, most, mean, median: n ? quantile(sorted, 0.5) : null, spread, distinct: distinct.size };
}
