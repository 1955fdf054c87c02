// Draws the map: files as points, zoomed, chosen and selected by mouse, touch or keys. What it draws comes from
// /map/files; the groups beside it are rendered by the server.
"use strict";

(() => {
  const SIZE = 10000; // positions are whole numbers from 0 to this
  const NEAR = 14; // pixels around the pointer in which a file is found
  const AGAIN = 1500; // milliseconds between looks at a map that is being made
  const COLOURS = 9;
  const $ = (selector, within = document) => within.querySelector(selector);
  const box = $("#map");
  const canvas = $("#map-canvas");
  const context = canvas.getContext("2d");
  const note = $("#map-note");
  let files = { ids: [], x: [], y: [], groups: [] };
  let view = { x: SIZE / 2, y: SIZE / 2, scale: 0.05 }; // the middle, and pixels for a unit
  let whole = 0.05; // the scale at which all is seen
  let chosen = -1; // the file that has the cursor
  let selected = new Set();
  let drag = null;
  let area = false; // whether dragging selects
  let ratio = 1;
  let due = false;

  // What is drawn.

  const style = () => getComputedStyle(document.documentElement);
  const colour = (name) => style().getPropertyValue(name).trim();
  const screen = (at) => [
    (files.x[at] - view.x) * view.scale + canvas.clientWidth / 2,
    (files.y[at] - view.y) * view.scale + canvas.clientHeight / 2,
  ];
  const onMap = (x, y) => [
    (x - canvas.clientWidth / 2) / view.scale + view.x,
    (y - canvas.clientHeight / 2) / view.scale + view.y,
  ];
  const titleOf = (at) => files.title[at] || files.path[at];
  const addressOf = (at) =>
    files.odd[at] ?? `/read?file=${encodeURIComponent(`${files.roots[files.root[at]]}/${files.path[at]}`)}`;

  /** The colours by what was chosen: a number for each file, and the names of the numbers. */
  function colouring() {
    const by = $("#map-colour").value;
    if (by === "folder") return { of: files.folder, names: files.folders, rest: box.dataset.other };
    if (by === "tag") return { of: files.tag, names: files.tags, rest: box.dataset.untagged };
    const days = [7, 31, 366, 1096].map((number) => new Date(Date.now() - number * 86400e3).toISOString().slice(0, 10));
    const of = files.day.map((day) => days.findIndex((since) => day >= since)).map((at) => (at < 0 ? 4 : at));
    return { of, names: box.dataset.ages.split("|"), rest: "" };
  }

  let colours = { of: [], names: [], rest: "" };

  function draw() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      paint();
    });
  }

  function paint() {
    const { clientWidth: width, clientHeight: height } = canvas;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const radius = Math.max(1.6, Math.min(6, 2.2 * Math.sqrt(view.scale / whole) * (files.ids.length > 3000 ? 0.8 : 1.3)));
    const palette = [...Array(COLOURS).keys()].map((at) => colour(`--map-${at}`));
    const faint = colour("--map-rest");
    context.globalAlpha = selected.size ? 0.25 : 0.85;
    for (let at = 0; at < files.ids.length; at++) {
      const [x, y] = screen(at);
      if (x < -8 || y < -8 || x > width + 8 || y > height + 8) continue;
      const bright = selected.has(at);
      if (bright) context.globalAlpha = 1;
      context.fillStyle = palette[colours.of[at]] ?? faint;
      context.beginPath();
      context.arc(x, y, bright ? radius + 0.8 : radius, 0, 7);
      context.fill();
      if (bright) context.globalAlpha = 0.25;
    }
    context.globalAlpha = 1;
    labels(width, height);
    if (chosen >= 0) {
      const [x, y] = screen(chosen);
      context.strokeStyle = colour("--ink");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x, y, radius + 4, 0, 7);
      context.stroke();
    }
    if (drag?.area) {
      context.strokeStyle = colour("--focus");
      context.lineWidth = 1;
      context.strokeRect(drag.x, drag.y, drag.toX - drag.x, drag.toY - drag.y);
    }
  }

  /** Name the groups, the largest first, where there is room. */
  function labels(width, height) {
    context.font = `600 13px ${colour("--sans")}`;
    context.textAlign = "center";
    context.lineJoin = "round";
    const taken = [];
    for (const group of middles) {
      if (!group.name) continue;
      const x = (group.x - view.x) * view.scale + width / 2;
      const y = (group.y - view.y) * view.scale + height / 2;
      const half = context.measureText(group.name).width / 2 + 6;
      if (x < 0 || y < 0 || x > width || y > height) continue;
      if (taken.some((one) => Math.abs(one.x - x) < one.half + half && Math.abs(one.y - y) < 20)) continue;
      taken.push({ x, y, half });
      context.lineWidth = 4;
      context.strokeStyle = colour("--paper");
      context.strokeText(group.name, x, y);
      context.fillStyle = colour("--ink");
      context.fillText(group.name, x, y);
    }
  }

  let middles = [];

  /** The middle of each group as it is drawn, the largest first. */
  function middlesOf() {
    const sums = files.groups.map((name) => ({ name, x: 0, y: 0, count: 0 }));
    files.group.forEach((group, at) => {
      sums[group].x += files.x[at];
      sums[group].y += files.y[at];
      sums[group].count += 1;
    });
    return sums
      .filter((one) => one.count)
      .map((one) => ({ ...one, x: one.x / one.count, y: one.y / one.count }))
      .sort((one, other) => other.count - one.count);
  }

  function key() {
    const items = colours.names.map((name, at) => ({ name, at }));
    const used = new Set(colours.of);
    if (colours.rest && [...used].some((one) => one < 0)) items.push({ name: colours.rest, at: "rest" });
    $("#map-key").replaceChildren(
      ...items
        .filter((item) => item.at === "rest" || used.has(item.at))
        .map((item) => {
          const line = document.createElement("li");
          const spot = Object.assign(document.createElement("span"), { className: `map-spot map-spot-${item.at}` });
          line.append(spot, item.name);
          return line;
        }),
    );
  }

  // Where it looks.

  function resize() {
    ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const before = whole;
    whole = Math.min(canvas.clientWidth, canvas.clientHeight) / SIZE;
    view.scale *= whole / before;
    draw();
  }

  /** Zoom, so that what is at a place of the screen stays there. */
  function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const [left, top] = onMap(x, y);
    view.scale = Math.max(whole * 0.8, Math.min(whole * 200, view.scale * factor));
    const [nowLeft, nowTop] = onMap(x, y);
    view.x += left - nowLeft;
    view.y += top - nowTop;
    draw();
  }

  function pan(x, y) {
    view.x = Math.max(0, Math.min(SIZE, view.x + x / view.scale));
    view.y = Math.max(0, Math.min(SIZE, view.y + y / view.scale));
    draw();
  }

  function wholeMap() {
    view = { x: SIZE / 2, y: SIZE / 2, scale: whole };
    draw();
  }

  // Files.

  function nearest(x, y) {
    let best = -1;
    let least = NEAR * NEAR;
    for (let at = 0; at < files.ids.length; at++) {
      const [left, top] = screen(at);
      const apart = (left - x) ** 2 + (top - y) ** 2;
      if (apart < least) [best, least] = [at, apart];
    }
    return best;
  }

  function choose(at, { say = false } = {}) {
    if (at === chosen && !say) return;
    chosen = at;
    note.hidden = at < 0;
    if (at >= 0) {
      const [x, y] = screen(at);
      note.textContent = `${titleOf(at)} · ${files.path[at]} · ${files.day[at]}`;
      note.style.left = `${Math.max(0, Math.min(x + 12, canvas.clientWidth - note.offsetWidth))}px`;
      note.style.top = `${Math.max(0, Math.min(y + 12, canvas.clientHeight - note.offsetHeight))}px`;
    }
    draw();
  }

  /** The file that lies next in a direction: near, and not much aside. */
  function towards(x, y) {
    const from = chosen >= 0 ? [files.x[chosen], files.y[chosen]] : [view.x, view.y];
    let best = -1;
    let least = Infinity;
    for (let at = 0; at < files.ids.length; at++) {
      const along = (files.x[at] - from[0]) * x + (files.y[at] - from[1]) * y;
      const aside = Math.abs((files.x[at] - from[0]) * y) + Math.abs((files.y[at] - from[1]) * x);
      if (at === chosen || along < 0 || (along === 0 && chosen >= 0) || aside > 2 * along + (chosen < 0 ? SIZE : 0)) continue;
      const cost = along + 2 * aside;
      if (cost < least) [best, least] = [at, cost];
    }
    if (best < 0) return;
    const [left, top] = screen(best);
    if (left < 20 || top < 20 || left > canvas.clientWidth - 20 || top > canvas.clientHeight - 20) {
      view.x = files.x[best];
      view.y = files.y[best];
    }
    choose(best, { say: true });
  }

  function select(found, { add = false } = {}) {
    selected = new Set(add ? [...selected, ...found] : found);
    const form = $("#map-selected");
    form.hidden = !selected.size;
    $("#map-ids").value = [...selected].map((at) => files.ids[at]).join(",");
    $("#map-count").textContent = `${selected.size.toLocaleString("en")} ${box.dataset.selected}`;
    draw();
  }

  /** The files in a rectangle of the screen. */
  function inside(left, top, right, bottom) {
    const found = [];
    for (let at = 0; at < files.ids.length; at++) {
      const [x, y] = screen(at);
      if (x >= left && x <= right && y >= top && y <= bottom) found.push(at);
    }
    return found;
  }

  const selectView = () => select(inside(0, 0, canvas.clientWidth, canvas.clientHeight));

  // The mouse, and fingers.

  const place = (event) => {
    const edge = canvas.getBoundingClientRect();
    return [event.clientX - edge.left, event.clientY - edge.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const [x, y] = place(event);
    drag = { x, y, toX: x, toY: y, moved: false, area: area || event.shiftKey, add: event.ctrlKey || event.metaKey };
    canvas.setPointerCapture(event.pointerId);
  });

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (!drag) return choose(nearest(x, y));
    if (Math.hypot(x - drag.x, y - drag.y) > 3) drag.moved = true;
    if (!drag.area) pan(drag.toX - x, drag.toY - y);
    [drag.toX, drag.toY] = [x, y];
    draw();
  });

  canvas.addEventListener("pointerup", (event) => {
    const ended = drag;
    drag = null;
    if (!ended) return;
    if (ended.moved && ended.area) {
      const [left, right] = [ended.x, ended.toX].sort((one, other) => one - other);
      const [top, bottom] = [ended.y, ended.toY].sort((one, other) => one - other);
      select(inside(left, top, right, bottom), { add: ended.add });
    } else if (!ended.moved) {
      const at = nearest(ended.x, ended.y);
      choose(at);
      if (at >= 0 && !event.shiftKey && !event.ctrlKey) location.href = addressOf(at);
      else if (at >= 0) select([at], { add: true });
    }
    draw();
  });

  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("pointerleave", () => !drag && document.activeElement !== canvas && choose(-1));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 400), ...place(event));
    },
    { passive: false },
  );

  // Keys, while the drawing has the focus.

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const KEYS = {
    "+": () => zoom(1.4),
    "=": () => zoom(1.4),
    "-": () => zoom(1 / 1.4),
    0: wholeMap,
    s: selectView,
    x: () => select([]),
    Enter: () => chosen >= 0 && (location.href = addressOf(chosen)),
    Escape: () => choose(-1),
  };

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    const act = arrow
      ? () => (event.shiftKey ? pan(arrow[0] * 80, arrow[1] * 80) : towards(...arrow))
      : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });

  // Buttons.

  const ACTS = {
    in: () => zoom(1.4),
    out: () => zoom(1 / 1.4),
    whole: wholeMap,
    view: selectView,
    clear: () => select([]),
    area: (button) => {
      area = !area;
      button.setAttribute("aria-pressed", String(area));
      canvas.classList.toggle("selecting", area);
    },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-map], [data-group]");
    if (!button) return;
    if (button.dataset.map) return ACTS[button.dataset.map](button);
    const group = Number(button.dataset.group);
    select(files.ids.map((_, at) => at).filter((at) => files.group[at] === group));
    box.scrollIntoView({ block: "nearest" });
  });

  function recolour() {
    colours = colouring();
    key();
    draw();
  }

  $("#map-colour").addEventListener("change", recolour);
  window.addEventListener("resize", resize);
  window.addEventListener("beforeprint", paint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  // What there is to draw.

  async function load() {
    const response = await fetch("/map/files", { headers: { accept: "application/json" } });
    if (!response.ok) return;
    const marked = [...selected].map((at) => files.ids[at]);
    files = await response.json();
    middles = middlesOf();
    choose(-1);
    recolour();
    // Files may have moved in the lists.
    const at = new Map(files.ids.map((id, place) => [id, place]));
    select(marked.map((id) => at.get(id)).filter((one) => one !== undefined));
    canvas.dataset.files = String(files.ids.length);
    requestAnimationFrame(() => setTimeout(() => performance.mark("kb-map")));
    await relist();
    if (files.work) setTimeout(load, AGAIN);
  }

  /** Fetch the list beside the map anew while the map is being made, and once when it is done. */
  async function relist() {
    const list = $("#map-list");
    if (!files.work && !list.dataset.work) return;
    const response = await fetch("/map?part=list");
    if (!response.ok) return;
    list.innerHTML = await response.text();
    list.dataset.work = files.work;
  }

  resize();
  wholeMap();
  load();
})();
