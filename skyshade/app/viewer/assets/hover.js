// A source under the pointer: its name and place at once, its columns when the pointer rests.
const { index: { indices }, geometry: { sx, sy } } = cb_data;
const memory = (source._hover ??= { rows: new Map(), tip: null, key: "", timer: 0 });
const [base, tail] = [probe.data.base[0], probe.data.token[0]];
const at = cb_context.index.find_one(plot);
const hide = () => { clearTimeout(memory.timer); memory.key = ""; memory.tip?.remove(); };

function line(table, name, value) {
  const row = table.insertRow();
  row.insertCell().textContent = name;
  row.insertCell().textContent = value;
}
const text_of = (value) => value == null ? "" : typeof value == "number" ? String(+value.toPrecision(8)).replace("-", "\u2212") : String(value).slice(0, 80);
function show(record) {
  const tip = (memory.tip ??= document.createElement("div"));
  tip.replaceChildren();
  tip.style.cssText = "position:absolute;z-index:30;pointer-events:none;max-width:300px;padding:6px 9px;border-radius:6px;" +
    "background:#161d2a;border:1px solid #3a4458;color:#d6dcea;font:12px/1.4 Inter,'Segoe UI',system-ui,'DejaVu Sans',sans-serif;";
  const title = tip.appendChild(document.createElement("b"));
  title.textContent = record.name;
  const table = tip.appendChild(document.createElement("table"));
  table.style.cssText = "border-collapse:collapse;color:#8a94a8;overflow-wrap:anywhere;font:inherit;";
  line(table, "RA, Dec\u2002", record.ra.toFixed(5) + "\u00b0 " + (record.dec < 0 ? "\u2212" : "+") + Math.abs(record.dec).toFixed(5) + "\u00b0");
  for (const [name, value] of Object.entries(record.extra).slice(0, 10)) line(table, name.slice(0, 30) + "\u2002", text_of(value));
  const more = Object.keys(record.extra).length - 10;
  if (more > 0) line(table, "\u2026", "click for " + more + " more");
  at.shadow_el.append(tip);
  const [wide, high] = [plot.outer_width, plot.outer_height];
  tip.style.left = Math.max(0, sx + 14 + tip.offsetWidth > wide ? sx - 14 - tip.offsetWidth : sx + 14) + "px";
  tip.style.top = Math.max(0, Math.min(sy + 14, high - tip.offsetHeight - 4)) + "px";
}
async function ask(key, list, row) {
  const reply = await fetch(base + "api/sources/" + encodeURIComponent(list) + "/rows/" + row + tail.replace("&", "?"));
  if (!reply.ok) return;
  if (memory.rows.size > 500) memory.rows.clear();
  memory.rows.set(key, await reply.json());
  if (memory.key == key) show(memory.rows.get(key));
}
if (at == null || !indices.length) {
  hide();
} else {
  const i = indices[0], list = state.data.id[source.data.list[i]], row = source.data.row[i];
  const key = JSON.stringify([list, state.data.serial[source.data.list[i]], row]);
  if (key != memory.key) {
    hide();
    memory.key = key;
    if (memory.rows.has(key)) show(memory.rows.get(key));
    else memory.timer = setTimeout(() => ask(key, list, row).catch(() => {}), 80);
  }
}
