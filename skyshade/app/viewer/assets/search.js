// Names that hold what is typed into "Go to", below the field; a click goes there.
const state = (host._search ??= { timer: 0, serial: 0 });
const [base, tail] = [probe.data.base[0], probe.data.token[0]];
const text = field.value_input.trim();
clearTimeout(state.timer);
const serial = ++state.serial;

function show(found) {
  const root = cb_context.index.find_one(host)?.shadow_el;
  if (root == null) return;
  root.querySelector(".found")?.remove();
  host.setv({ visible: found.length > 0 }, { sync: false });
  if (!found.length) return;
  const box = Object.assign(document.createElement("div"), { className: "found" });
  for (const source of found) {
    const line = Object.assign(document.createElement("button"), { textContent: source.name, title: source.name });
    const list = Object.assign(document.createElement("span"), { textContent: source.title });
    line.append(list);
    line.onmousedown = (event) => event.preventDefault(); // the field keeps the focus, or it would search by itself
    line.onclick = () => {
      picked.data = { list: [source.list], row: [source.row], how: ["search"], serial: [picked.data.serial[0] + 1] };
      field.value_input = "";
    };
    box.append(line);
  }
  root.append(box);
}
async function ask() {
  const reply = await fetch(base + "api/sources/search?limit=8&q=" + encodeURIComponent(text) + tail);
  if (!reply.ok || serial != state.serial) return;
  const found = (await reply.json()).sources;
  if (serial == state.serial) show(found);
}
// numbers are a position, not a name; what was entered is on its way already
if (text.length < 2 || text.length > 200 || /^[-+\d\s.,:\u2212]*$/.test(text) || text == field.value.trim()) show([]);
else state.timer = setTimeout(() => ask().catch(() => {}), 180);
