// Brings one notebook output to life: finds the kernel and its tile server, loads Bokeh and Panel from that
// server unless the page has them, then runs the script that Panel made. Where one is missing, in an exported page
// or after the kernel's end, the still picture stays.
const holder = document.getElementById("skyshade-" + id);
const note = holder.querySelector(".skyshade-note");

function panel_of(bokeh) {
  return bokeh == null ? null : bokeh.version == version ? bokeh.Panel : bokeh.versions?.get(version)?.Panel;
}
function add_script(src) {
  return new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src, onload: done, onerror: failed });
    document.head.append(script);
  });
}
async function load() {
  const old = window.Bokeh;
  for (const src of old?.version == version ? scripts.slice(-1) : scripts) await add_script(src);
  if (old != null && old.version != version) { // two versions on one page: Panel looks here for the second one
    (old.versions ??= new Map()).set(version, window.Bokeh);
    window.Bokeh = old;
  }
}
async function reachable() {
  try {
    return (await fetch(probe)).ok;
  } catch {
    return false;
  }
}

await new Promise((done) => setTimeout(done, 0)); // JupyterLab names the kernel after it has run our script
if (window.PyViz?.kernels?.[id] == null) {
  if (document.getElementById("jupyter-config-data") != null) {
    note.textContent = "A still picture: for the live viewer install pyviz_comms where JupyterLab runs, and reload the page.";
  }
  return;
}
if (!(await reachable())) {
  note.textContent =
    "A still picture: no tile server answers at " + new URL(probe, document.baseURI).origin + ". Run the cell again; " +
    "when Jupyter runs on another machine, install jupyter-server-proxy beside it.";
  return;
}
while (panel_of(window.Bokeh) == null) {
  await (window._skyshade_loading ??= load().finally(() => delete window._skyshade_loading));
}
if (window.PyViz.comm_manager == null) make_comm_manager();
const views = (window._skyshade_views ??= {}); // a viewer lives in one output at a time
views[viewer]?.replaceChildren("This viewer is shown by another cell now.");
views[viewer] = holder;
const script = document.createElement("script");
script.textContent = holder.querySelector("script[type='text/x-skyshade']").textContent;
holder.querySelector(".skyshade-still").remove();
holder.append(script);
