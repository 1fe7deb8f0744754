// After each pan or zoom: bring a lost view back, keep the scale equal on both axes, and tell Python.
function settle() {
  const [width, height] = [plot.inner_width, plot.inner_height];
  if (!(width > 0 && height > 0)) return;
  const x = plot.x_range, y = plot.y_range;
  const least = view.data.least[0], most = Math.max(380, (200 * width) / height);
  const w = Math.min(Math.max(x.end - x.start, least), most), h = (w * height) / width;
  const limit = Math.max(0, 95 - h / 2);
  const cu = (x.start + x.end) / 2, cv = (y.start + y.end) / 2;
  const u = cu - 360 * Math.round(cu / 360), v = Math.min(Math.max(cv, -limit), limit);
  const off = (a, b) => Math.abs(a - b) > 1e-6 * w;
  if (off(u - w / 2, x.start) || off(u + w / 2, x.end)) x.setv({ start: u - w / 2, end: u + w / 2 });
  if (off(v - h / 2, y.start) || off(v + h / 2, y.end)) y.setv({ start: v - h / 2, end: v + h / 2 });
  const ra = ((-u % 360) + 360) % 360;
  const old = view.data;
  if (old.ra[0] != ra || old.dec[0] != v || old.width[0] != w || old.height[0] != h) {
    view.data = { ra: [ra], dec: [v], width: [w], height: [h], least: [least] };
  }
}
clearTimeout(view._timer);
view._timer = setTimeout(settle, 150);
