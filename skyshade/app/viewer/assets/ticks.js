// Steps that suit an angle, and its labels. Expects kind ("ra" or "dec") and sexagesimal (boolean).
const FINE = [1, 2, 5];
function step_of(span, count) {
  const least = span / count;
  const unit = !sexagesimal ? 1 : kind == "ra" ? 15 / 3600 : 1 / 3600;
  const wanted = least / unit;
  const coarse = sexagesimal
    ? [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 36000, 54000, 108000, 162000]
    : [1, 2, 5, 10, 15, 30, 45, 60, 90];
  if (wanted > 1 - 1e-12) {
    return unit * (coarse.find((s) => s >= wanted) ?? coarse[coarse.length - 1]);
  }
  const power = Math.floor(Math.log10(wanted) + 1e-9);
  const factor = FINE.find((f) => f * 10 ** power >= wanted * (1 - 1e-9)) ?? 10;
  return unit * factor * 10 ** power;
}
function positions(start, end, step) {
  const found = [];
  for (let k = Math.ceil(start / step - 1e-9); k <= Math.floor(end / step + 1e-9); k++) {
    const value = k * step;
    if (kind == "ra" || Math.abs(value) <= 90 + 1e-9) found.push(value);
  }
  return found;
}
function decimals_of(step) {
  return Math.min(12, Math.max(0, Math.ceil(-Math.log10(step) - 1e-6)));
}
function split(total, decimals) {
  const scale = 10 ** decimals;
  const ticks = Math.round(total * scale);
  const whole = Math.floor(ticks / scale);
  const tail = decimals ? "." + String(ticks % scale).padStart(decimals, "0") : "";
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, String(whole % 60).padStart(2, "0") + tail];
}
function label(value, step) {
  const ra = ((-value % 360) + 360) % 360;
  if (!sexagesimal) {
    const decimals = decimals_of(step);
    const text = kind == "ra" ? (+ra.toFixed(decimals) % 360).toFixed(decimals) : Math.abs(value).toFixed(decimals);
    return (kind == "dec" && value < 0 && +text != 0 ? "\u2212" : "") + text + "\u00b0";
  }
  const unit = kind == "ra" ? 15 / 3600 : 1 / 3600;
  const fine = step / unit;
  const decimals = decimals_of(fine);
  const total = (kind == "ra" ? ra : Math.abs(value)) / unit;
  const wrapped = kind == "ra" && total + 0.5 * 10 ** -decimals >= 86400 ? 0 : total;
  const [first, minutes, seconds] = split(wrapped, decimals);
  const marks = kind == "ra" ? ["h", "m", "s"] : ["\u00b0", "\u2032", "\u2033"];
  let text = first + marks[0];
  if (fine < 3600) text += String(minutes).padStart(2, "0") + marks[1];
  if (fine < 60) text += seconds + marks[2];
  return (kind == "dec" && value < 0 ? "\u2212" : "") + text;
}
