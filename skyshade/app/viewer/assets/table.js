// The table of one source list: pages come from the server, sorted and searched there.
const state = (host._state ??= { list: "", sort: "", order: "asc", offset: 0, search: "", key: "", serial: 0 });
const [base, tail] = [probe.data.base[0], probe.data.token[0]];
const ROWS = 50;
const make = (tag, into, text = "", more = {}) => {
  const made = Object.assign(document.createElement(tag), { textContent: text }, more);
  into.append(made);
  return made;
};
const number = (n) => n.toLocaleString("en");
const text_of = (value) => value == null ? "" : typeof value == "number" ? String(+value.toPrecision(8)).replace("-", "\u2212") : String(value).slice(0, 200);

function frame(root) {
  const box = make("div", root, "", { className: "sources" });
  const head = make("div", box, "", { className: "head" });
  const parts = { box, lists: make("select", head, "", { ariaLabel: "Source list" }) };
  parts.search = make("input", head, "", { type: "search", placeholder: "Find by name", ariaLabel: "Find by name" });
  parts.told = make("span", head, "", { className: "told" });
  parts.back = make("button", head, "\u2039", { title: "Rows before", ariaLabel: "Rows before" });
  parts.next = make("button", head, "\u203a", { title: "Next rows", ariaLabel: "Next rows" });
  parts.links = make("span", head, "", { className: "links" });
  make("button", head, "\u00d7", { title: "Close", ariaLabel: "Close the table" }).onclick = () => {
    want.data = { list: [""], serial: [want.data.serial[0] + 1] };
  };
  parts.scroll = make("div", box, "", { className: "scroll" });
  parts.table = make("table", parts.scroll);
  parts.lists.onchange = () => open(parts.lists.value);
  parts.search.oninput = () => {
    clearTimeout(state.timer);
    state.timer = setTimeout(() => { Object.assign(state, { search: parts.search.value, offset: 0 }); load(); }, 200);
  };
  parts.back.onclick = () => { state.offset = Math.max(0, state.offset - ROWS); load(); };
  parts.next.onclick = () => { state.offset += ROWS; load(); };
  return parts;
}
function parts() {
  const root = cb_context.index.find_one(host)?.shadow_el;
  if (root == null) return null;
  if (state.parts == null || !root.contains(state.parts.box)) state.parts = frame(root);
  return state.parts;
}
function open(list) {
  if (list != state.list) Object.assign(state, { list, sort: "", order: "asc", offset: 0, search: "", data: null });
  const found = parts();
  if (found == null) return;
  found.search.value = state.search;
  load();
}
async function load(row = null) {
  const serial = ++state.serial, list = state.list;
  const asked = new URLSearchParams({ offset: state.offset, limit: ROWS, sort: state.sort, order: state.order, search: state.search });
  if (row != null) asked.set("row", row);
  const reply = await fetch(base + "api/sources/" + encodeURIComponent(list) + "?" + asked + tail);
  if (!reply.ok || serial != state.serial) return;
  state.data = await reply.json();
  state.offset = state.data.offset;
  show();
}
function show() {
  const found = parts(), data = state.data;
  if (found == null || data == null) return;
  found.lists.replaceChildren();
  lists.data.id.forEach((id, i) => make("option", found.lists, lists.data.title[i], { value: id, selected: id == state.list }));
  const last = data.offset + data.sources.length;
  found.told.textContent = data.matches ? number(data.offset + 1) + "\u2013" + number(last) + " of " + number(data.matches) : "no source of this name";
  found.back.disabled = data.offset == 0;
  found.next.disabled = last >= data.matches;
  found.links.replaceChildren();
  const file = base + "api/sources/" + encodeURIComponent(state.list) + "/export?format=";
  for (const [format, name] of [["json", "JSON"], ["csv", "CSV"], ["reg", "DS9"]]) make("a", found.links, name, { href: file + format + tail, download: "" });
  fill(found.table, data);
}
function fill(table, data) {
  table.replaceChildren();
  const columns = [["name", "name"], ["ra", "RA"], ["dec", "Dec"], ...data.columns.filter((c) => !["name", "ra", "dec"].includes(c)).map((c) => [c, c])];
  const titles = table.createTHead().insertRow();
  for (const [key, title] of columns) {
    const mark = key == state.sort ? (state.order == "asc" ? " \u25b4" : " \u25be") : "";
    const cell = make("th", titles, "", { title });
    make("button", cell, title.slice(0, 40) + (data.units[key] ? " [" + data.units[key].slice(0, 16) + "]" : "") + mark).onclick = () => {
      const order = key == state.sort && state.order == "asc" ? "desc" : "asc";
      Object.assign(state, { sort: key, order, offset: 0 });
      load();
    };
  }
  const body = table.createTBody();
  for (const record of data.sources) {
    const row = body.insertRow();
    row.dataset.row = record.row;
    row.tabIndex = 0;
    for (const [key] of columns) {
      const place = key == "ra" || key == "dec", value = place ? record[key].toFixed(5).replace("-", "\u2212") : key == "name" ? record.name : text_of(record.extra[key]);
      make("td", row, value, { className: place || typeof record.extra[key] == "number" ? "number" : "" });
    }
    row.onclick = () => {
      picked.data = { list: [state.list], row: [record.row], how: ["table"], serial: [picked.data.serial[0] + 1] };
    };
    row.onkeydown = (event) => { if (event.key == "Enter") row.onclick(); };
  }
  highlight();
}
function highlight() {
  const chosen = marked.data.list[0] == state.list ? String(marked.data.row[0]) : "";
  for (const row of state.parts?.table.tBodies[0]?.rows ?? []) {
    const is = row.dataset.row == chosen;
    row.classList.toggle("chosen", is);
    if (is) row.scrollIntoView({ block: "nearest" });
  }
}
// What happened: the table was asked for, or another source was marked.
const list = want.data.list[0];
if (list) {
  const known = lists.data.id.includes(list) ? list : lists.data.id[0];
  const key = JSON.stringify([list, want.data.serial[0], lists.data.serial]), chosen = marked.data.list[0];
  const mark = JSON.stringify([chosen, marked.data.row[0]]);
  const fresh = key != state.key, moved = mark != state.mark;
  Object.assign(state, { key, mark });
  if (fresh) open(known);
  else if (moved && chosen && lists.data.id.includes(chosen)) {
    const here = chosen == state.list && state.data?.sources.some((record) => record.row == marked.data.row[0]);
    if (here) highlight();
    else {
      if (chosen != state.list || state.search) Object.assign(state, { list: chosen, search: "", ...(chosen == state.list ? {} : { sort: "", order: "asc" }) });
      if (parts()) state.parts.search.value = "";
      load(marked.data.row[0]);
    }
  }
}
