// Tells Python which source was clicked.
const [i] = source.selected.indices;
if (i != null) {
  const list = state.data.id[source.data.list[i]], serial = picked.data.serial[0] + 1;
  picked.data = { list: [list], row: [source.data.row[i]], how: ["marker"], serial: [serial] };
}
