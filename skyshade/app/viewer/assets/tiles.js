// Shows the tiles that `want` names without a blank moment: a renderer behind loads them unseen, then takes
// the place of the one before. Stock tile sources blank the map while new tiles load. A renderer that is
// hidden and shown again would zoom if the plot changed its size in between, so each one is shown once.
const { url: [url], max_zoom: [max_zoom], alpha: [alpha] } = want.data;
const state = (want._swap ??= { front: first, back: null, url: first.tile_source.url, timer: 0 });
const quiet = { sync: false };

// The level that the renderer takes; Bokeh 3.10 counts the pixels of the device.
function level_of(source, extent) {
  const { inner_height: height, inner_width: width } = plot;
  if (source.pixel_ratio == null) return source.get_level_by_extent(extent, height, width);
  const scale = (plot.hidpi ? window.devicePixelRatio : 1) / source.pixel_ratio;
  return source.get_closest_level_by_extent(extent, height * scale, width * scale);
}
function loaded(source) {
  const extent = [plot.x_range.start, plot.y_range.start, plot.x_range.end, plot.y_range.end];
  const level = level_of(source, extent);
  return source.get_tiles_by_extent(extent, level, 0).every(([x, y, z]) => {
    const tile = source.tiles.get(source.tile_xyz_to_key(x, y, z));
    return tile != null && (tile.loaded || tile.finished);
  });
}
// Python knows the first renderer only: when it adds markers, it sends a list with that one in it.
function put_back() {
  const ours = [state.front, state.back].filter((renderer) => renderer != null);
  if (ours.every((renderer) => plot.renderers.includes(renderer))) return;
  const others = plot.renderers.filter((renderer) => renderer != first && !ours.includes(renderer));
  plot.setv({ renderers: [...ours.reverse(), ...others] }, quiet);
}
function replace(old, ...come) {
  plot.setv({ renderers: [...come, ...plot.renderers.filter((renderer) => renderer != old)] }, quiet);
}
function swap(deadline) {
  if (!loaded(state.back.tile_source) && performance.now() < deadline) {
    state.timer = setTimeout(() => swap(deadline), 40);
    return;
  }
  const old = state.front;
  state.back.setv({ alpha: want.data.alpha[0] }, quiet);
  [state.front, state.back, state.timer] = [state.back, null, 0];
  replace(old);
}

put_back();
if (url == state.url) {
  if (!state.timer || state.front.alpha != alpha) state.front.setv({ alpha }, quiet);
} else {
  clearTimeout(state.timer);
  state.url = url;
  const old = state.front.tile_source;
  const source = new old.constructor({
    url,
    max_zoom,
    min_zoom: 0,
    tile_size: old.tile_size,
    x_origin_offset: old.x_origin_offset,
    y_origin_offset: old.y_origin_offset,
    initial_resolution: old.initial_resolution,
    wrap_around: old.wrap_around,
    ...(old.pixel_ratio == null ? {} : { pixel_ratio: old.pixel_ratio }),
  });
  const back = new state.front.constructor({ tile_source: source, alpha: 0, smoothing: state.front.smoothing });
  const unseen = state.back;
  state.back = null;
  replace(unseen, back);
  state.back = back;
  state.timer = setTimeout(() => swap(performance.now() + 8000), 80);
}
