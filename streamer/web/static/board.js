// Here is what a wallboard knows: the last snapshot with the changes since, bounded by the snapshot's size.

export const EMPTY = { view: null, title: "", timezone: "UTC", rotate_s: null, pages: [], alerts: [], ahead_ms: 0 };

// The board after an event of the stream. `now` is this device's clock, which may be wrong: the server's counts.
export function after(board, name, data, now) {
  if (name === "lost") return { ...board };
  const ahead_ms = data.now - now;
  switch (name) {
    case "snapshot": {
      const { view, title, timezone, rotate_s, pages, alerts } = data;
      return { view, title, timezone, rotate_s, pages, alerts, ahead_ms };
    }
    case "change":
      return { ...board, pages: changed(board.pages, data.tiles), alerts: data.alerts, ahead_ms };
    default:
      return { ...board, ahead_ms };
  }
}

function changed(pages, tiles) {
  const newer = new Map(tiles.map((tile) => [tile.id, tile]));
  return pages.map((page) => ({ ...page, tiles: page.tiles.map((tile) => newer.get(tile.id) ?? tile) }));
}
