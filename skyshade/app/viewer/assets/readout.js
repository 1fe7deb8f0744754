// Position under the pointer at once; the value there when the pointer rests.
const state = (readout._state ??= { timer: 0, serial: 0 });
const [id, base, units, tail] = ["layer", "base", "units", "tail"].map((name) => probe.data[name][0]);
const escape = (text) => String(text).replace(/[&<>"']/g, (c) => "&#" + c.charCodeAt(0) + ";");
const show = (value) => readout.setv({ text: '<div class="spot">' + position + '<span class="value">' + value + "</span></div>" }, { sync: false });
const two = (n) => String(n).padStart(2, "0");
function sexagesimal(total, decimals, marks) {
  const scale = 10 ** decimals, ticks = Math.round(total * scale), whole = Math.floor(ticks / scale);
  const tail = decimals ? "." + String(ticks % scale).padStart(decimals, "0") : "";
  return Math.floor(whole / 3600) + marks[0] + two(Math.floor(whole / 60) % 60) + marks[1] + two(whole % 60) + tail + marks[2];
}
clearTimeout(state.timer);
const serial = ++state.serial;
const ra = ((-cb_obj.x % 360) + 360) % 360, dec = cb_obj.y;
const inside = cb_obj.event_name == "mousemove" && Math.abs(dec) <= 90;
if (!inside) readout.setv({ text: "" }, { sync: false });
const pixel = (plot.x_range.end - plot.x_range.start) / plot.inner_width;
const digits = Math.min(8, Math.max(1, Math.ceil(-Math.log10(pixel))));
const fine = Math.min(5, Math.max(0, digits - 3));
const minus = dec < 0 ? "\u2212" : "+";
const time = sexagesimal(ra / 15 * 3600, fine + 1, ["h", "m", "s"]).replace(/^24h/, "0h");
const position = !inside ? "" :
  '<span class="deg">RA ' + ra.toFixed(digits) + "\u00b0&ensp;Dec " + minus + Math.abs(dec).toFixed(digits) + "\u00b0</span>" +
  '<span class="sex">' + time + "&ensp;" + minus + sexagesimal(Math.abs(dec) * 3600, fine, ["\u00b0", "\u2032", "\u2033"]) + "</span>";
function text_of(value) {
  if (value == null) return "no value";
  const text = Number.isInteger(value) && Math.abs(value) < 1e7 ? String(value) : String(+value.toPrecision(5));
  return escape(text.replace(/-/g, "\u2212") + (units ? "\u2009" + units : ""));
}
async function ask() {
  const reply = await fetch(base + "api/layers/" + encodeURIComponent(id) + "/value?ra=" + ra + "&dec=" + dec + tail);
  if (reply.ok && serial == state.serial) show(text_of((await reply.json()).value));
}
if (inside) {
  show("");
  if (id) state.timer = setTimeout(() => ask().catch(() => {}), 150);
}
