// Shows the tiles that `want` names without a blank moment: the renderer behind loads them unseen, then
// both change places. Stock tile sources blank the map while new tiles load.
const { url: [url], max_zoom: [max_zoom], alpha: [alpha] } = want.data;
const pair = [first, second];
const state = (want._swap ??= { front: 0, url: first.tile_source.url, timer: 0 });
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
function swap(source, deadline) {
  if (!loaded(source) && performance.now() < deadline) {
    state.timer = setTimeout(() => swap(source, deadline), 40);
    return;
  }
  const front = pair[state.front];
  const back = pair[1 - state.front];
  state.front = 1 - state.front;
  state.timer = 0;
  back.setv({ alpha: want.data.alpha[0] }, quiet);
  front.setv({ alpha: 0, visible: false }, quiet);
  front.tile_source.tiles.clear();
}

if (url == state.url) {
  if (!state.timer || pair[state.front].alpha != alpha) pair[state.front].setv({ alpha }, quiet);
} else {
  clearTimeout(state.timer);
  state.url = url;
  const old = pair[state.front].tile_source;
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
  pair[1 - state.front].setv({ alpha: 0, visible: true, tile_source: source }, quiet);
  state.timer = setTimeout(() => swap(source, performance.now() + 8000), 80);
}
