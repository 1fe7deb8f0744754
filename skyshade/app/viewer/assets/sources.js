// Marks the sources of the view: asks the server for what each list shows there, merges it into one glyph,
// draws outlines and, when few are in view, names that do not overlap.
const TURNS = [-360, 0, 360]; // glyphs do not wrap with the tiles, so they are repeated
const [PAD, CELL, LIMIT, FONT] = [1.5, 14, 2000, "12px Inter, 'Segoe UI', system-ui, 'DejaVu Sans', sans-serif"];
const memory = (source._memory ??= { held: new Map(), asked: new Map(), drawn: "" });
const quiet = { sync: false };
const [base, tail] = [probe.data.base[0], probe.data.token[0]];

function here() {
  const { start: x0, end: x1 } = plot.x_range, { start: y0, end: y1 } = plot.y_range;
  const [wide, high] = [plot.inner_width, plot.inner_height];
  return { x0, x1, y0, y1, wide, high, u: (x0 + x1) / 2, v: (y0 + y1) / 2, pixel: (x1 - x0) / wide };
}
const wrap = (angle) => ((angle % 360) + 360) % 360;

// Whether what is held of a list will do for a view: it covers it and suits its scale.
function serves(held, list, at) {
  if (held?.serial != list.serial) return false;
  const scale = at.pixel / held.pixel, all = held.count == held.total;
  if (scale < (all ? 0.2 : 0.75) || scale > (all && held.whole ? 8 : 1.34)) return false;
  const aside = Math.abs(wrap(at.u - held.u + 180) - 180) + (at.x1 - at.x0) / 2 - held.width / 2;
  const [low, high] = [Math.max(at.y0, -90), Math.min(at.y1, 90)];
  return (held.width >= 360 || aside <= 0) && low >= held.south - 1e-9 && high <= held.north + 1e-9;
}
async function ask(path) {
  const reply = await fetch(base + "api/sources/" + path + tail);
  if (!reply.ok) throw new Error("sources: " + reply.status);
  return split(await reply.arrayBuffer());
}
function split(bytes) {
  const length = new DataView(bytes).getUint32(0, true);
  return [JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length))), bytes, 4 + length];
}
// What is under way is not asked for again.
function get(list, at) {
  const before = memory.asked.get(list.id);
  if (before && serves(before, list, at)) return before.reply;
  const width = Math.min((at.x1 - at.x0) * PAD, 360), height = (at.y1 - at.y0) * PAD;
  const [south, north] = [at.v - height / 2, at.v + height / 2];
  const asked = { serial: list.serial, pixel: at.pixel, u: at.u, width, south, north, count: 0, total: 1 };
  asked.reply = fetch_list(list, at, width, height).finally(() => memory.asked.get(list.id) == asked && memory.asked.delete(list.id));
  memory.asked.set(list.id, asked);
  return asked.reply;
}
async function fetch_list(list, at, width, height) {
  const dec = Math.min(Math.max(at.v, -90), 90);
  const area = "?ra=" + wrap(-at.u) + "&dec=" + dec + "&width=" + width + "&height=" + height;
  const name = encodeURIComponent(list.id);
  const asked = [ask(name + "/markers" + area + "&cell=" + at.pixel * CELL + "&limit=" + LIMIT)];
  if (list.outlined) asked.push(ask(name + "/outlines" + area + "&pixel=" + at.pixel));
  return made(list.serial, at.pixel, at.u, dec, ...(await Promise.all(asked)));
}
function made(serial, pixel, u, v, [head, bytes, from], outlines) {
  const n = head.count;
  return {
    ...head, serial, pixel, u: -head.east + head.width / 2, whole: head.width >= 360,
    north: head.south + head.height, x: new Uint16Array(bytes, from, n), y: new Uint16Array(bytes, from + 2 * n, n),
    row: new Uint32Array(bytes, from + 4 * n, n), size: head.sized ? new Uint8Array(bytes, from + 8 * n, n) : null,
    lines: outlines ? lines_of(outlines, u, v) : [],
  };
}
function lines_of([head, bytes, from], u, v) {
  const n = head.sizes.reduce((sum, size) => sum + size, 0);
  const [x, y] = [new Float32Array(bytes, from, n), new Float32Array(bytes, from + 4 * n, n)];
  let i = 0;
  return head.sizes.map((size, k) => {
    const part = { xs: Array.from(x.subarray(i, i + size), (d) => u + d), colour: head.colours[k], row: head.rows[k] };
    part.ys = Array.from(y.subarray(i, i + size), (d) => v + d);
    i += size;
    return part;
  });
}
function shown() {
  const { id, colour, serial, visible, outlined, title } = state.data;
  return id.map((name, i) => ({ id: name, title: title[i], colour: colour[i], serial: serial[i], visible: visible[i], outlined: outlined[i], number: i }))
    .filter((list) => list.visible);
}
function draw(lists, at) {
  const parts = lists.map((list) => [list, memory.held.get(list.id)]).filter(([list, held]) => held?.serial == list.serial);
  const total = parts.reduce((sum, [, held]) => sum + held.count, 0), n = total * TURNS.length;
  const data = { u: new Float64Array(n), v: new Float64Array(n), size: new Float64Array(n), row: new Int32Array(n), list: new Int32Array(n), colour: new Array(n) };
  const out = { xs: [], ys: [], colour: [] };
  let i = 0;
  for (const [list, held] of parts) {
    const shift = 360 * Math.round((at.u - held.u) / 360), left = -held.east + shift;
    for (const turn of TURNS) {
      for (let k = 0; k < held.count; k++, i++) {
        data.u[i] = left + turn + (held.x[k] / 65535) * held.width;
        data.v[i] = held.south + (held.y[k] / 65535) * held.height;
        data.size[i] = held.size ? held.size[k] / 10 : 7.5;
        data.row[i] = held.row[k];
        data.list[i] = list.number;
        data.colour[i] = held.colours?.[k] || list.colour;
      }
      for (const line of held.lines) {
        out.xs.push(line.xs.map((x) => x + shift + turn));
        out.ys.push(line.ys);
        out.colour.push(line.colour || list.colour);
      }
    }
  }
  source.selected.setv({ indices: [] }, quiet);
  source.setv({ data }, quiet);
  if (out.xs.length || lines.data.xs.length) lines.setv({ data: out }, quiet);
  tell(parts);
}
function tell(parts) {
  const [count, total] = ["count", "total"].map((key) => parts.reduce((sum, [, held]) => sum + held[key], 0));
  const text = count < total ? '<div class="note">' + count.toLocaleString("en") + " of " + total.toLocaleString("en") + " sources here are marked; zoom in for more</div>" : "";
  if (text != note.text) note.setv({ text, visible: text != "" }, quiet);
}
// Names beside the markers, the most important ones first, where there is room.
function name_them(lists, at) {
  const found = { u: [], v: [], text: [], dx: [], dy: [] };
  const named = [], taken = [];
  for (const list of lists) {
    const held = memory.held.get(list.id);
    if (held?.serial != list.serial || !held.names) continue;
    const left = -held.east + 360 * Math.round((at.u - held.u) / 360);
    for (let k = 0; k < held.count; k++) {
      const u = left + (held.x[k] / 65535) * held.width, v = held.south + (held.y[k] / 65535) * held.height;
      const [x, y] = [(u - at.x0) / at.pixel, (at.y1 - v) / at.pixel], r = (held.size ? held.size[k] / 10 : 7.5) / 2;
      if (x < 0 || x > at.wide || y < 0 || y > at.high) continue;
      named.push({ u, v, x, y, r, text: held.names[k] });
      taken.push([x - r, y - r, x + r, y + r]);
    }
  }
  if (named.length <= 60) {
    const pen = (memory.pen ??= document.createElement("canvas").getContext("2d"));
    pen.font = FONT;
    for (const { u, v, x, y, r, text } of named) {
      if (!text || /^\d+$/.test(text)) continue; // a row's number is no name
      const short = text.length > 40 ? text.slice(0, 39) + "\u2026" : text, wide = pen.measureText(short).width;
      for (const [dx, dy] of [[r + 7, 0], [-r - 7 - wide, 0], [-wide / 2, -r - 12], [-wide / 2, r + 12]]) {
        const box = [x + dx - 2, y + dy - 8, x + dx + wide + 2, y + dy + 8];
        if (box[0] < 0 || box[2] > at.wide || box[1] < 0 || box[3] > at.high) continue;
        if (taken.some((b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3])) continue;
        taken.push(box);
        for (const [key, value] of Object.entries({ u, v, text: short, dx, dy })) found[key].push(value);
        break;
      }
    }
  }
  if (found.u.length || labels.data.u.length) labels.setv({ data: found }, quiet);
}
// What came with the page for its first view.
function prime() {
  if (memory.primed) return;
  memory.primed = true;
  const { id, serial, markers, outlines, pixel, u, v } = first.data;
  const bytes = (text) => split(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  id.forEach((name, i) => memory.held.set(name, made(serial[i], pixel[i], u[i], v[i], bytes(markers[i]), outlines[i] ? bytes(outlines[i]) : null)));
}
async function look() {
  const at = here();
  if (!(at.wide > 0 && at.x1 > at.x0)) return;
  prime();
  const lists = shown(), serial = (memory.serial = (memory.serial ?? 0) + 1);
  const needed = lists.filter((list) => !serves(memory.held.get(list.id), list, at));
  const found = await Promise.all(needed.map((list) => get(list, at).catch(() => null)));
  needed.forEach((list, i) => found[i] && memory.held.set(list.id, found[i]));
  if (serial != memory.serial) return;
  const drawn = JSON.stringify(lists.map((list) => [list.id, list.serial, list.colour]));
  if (needed.length || drawn != memory.drawn) draw(lists, at);
  memory.drawn = drawn;
  name_them(lists, at);
}
look();
