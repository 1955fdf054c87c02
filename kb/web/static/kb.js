// What the page cannot do without a script: results while typing, documents beside them, keys, and what happens live.
// Everything else is rendered by the server, whose addresses this file asks for parts of.
"use strict";

(() => {
  const BEST_AFTER = 250; // milliseconds after results by meaning: their best sentences
  const CALM = 300; // milliseconds without another event until what it changes is asked for
  const ENDED = 401; // the status of an answer to a browser without a session
  const AGAIN = 5000; // milliseconds until the events are asked for again, where the session has ended
  const MEANING_AFTER = 50; // milliseconds without a key: results by words come at once, those by meaning after that
  const IN_VIEW = 0.7; // of the height of the window: what begins above that is in view
  const MARGIN = 16; // pixels above a hit that the list is scrolled to
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const body = document.body;
  const field = $("#q");
  const finder = body.classList.contains("finder");
  document.documentElement.classList.add("scripted");

  // Parts of the page.

  const running = new Map();

  /** Fetch a part of the page; a later request for the same part takes its place. Returns null if one did. */
  async function part(name, address) {
    running.get(name)?.abort();
    const controller = new AbortController();
    running.set(name, controller);
    try {
      const response = await fetch(address, { signal: controller.signal, headers: { accept: "text/html" } });
      const html = await response.text();
      if (controller.signal.aborted) return null;
      lost(response.status === ENDED ? "ended" : "");
      return response.status === ENDED ? null : html;
    } catch (error) {
      if (error.name !== "AbortError") lost("gone");
      return null;
    }
  }

  /** Say above everything why nothing new is shown: ``gone`` or ``ended``; empty once the daemon answers again. */
  function lost(why) {
    const line = $("#lost");
    line.hidden = !why;
    line.textContent = body.dataset[why] ?? "";
    if (why) $("#live").hidden = true;
  }

  const withPart = (address, name) => {
    const url = new URL(address, location.href);
    url.hash = "";
    url.searchParams.set("part", name);
    return url;
  };

  /** Note when the next frame is on the screen, for measurements. */
  const painted = (name) => requestAnimationFrame(() => setTimeout(() => performance.mark(name)));

  function toast(text) {
    const shown = $("#toast");
    shown.textContent = text;
    shown.classList.add("shown");
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => shown.classList.remove("shown"), 3500);
  }

  // Find.

  /** What names a search, whichever document is open beside it. */
  function searchOf(url) {
    const fields = new URLSearchParams(url.search);
    for (const name of ["file", "line", "page", "alone", "part"]) fields.delete(name);
    fields.sort();
    return fields.toString();
  }

  /** Bring the links to other views to the search that is shown. */
  function lead(url) {
    for (const link of $$(".bar nav a[data-keeps]")) {
      const to = new URL(link.pathname, location.href);
      for (const name of link.dataset.keeps.split(" ")) {
        for (const value of url.searchParams.getAll(name)) to.searchParams.append(name, value);
      }
      link.href = to;
    }
  }

  /** The address that a form leads to, with what is filled in. */
  function sent(form) {
    const url = new URL(form.action);
    for (const [name, value] of new FormData(form)) {
      // The name of a folder may end in a space.
      const kept = name === "q" ? value.trim() : value;
      if (kept) url.searchParams.append(name, kept);
    }
    return url;
  }

  let shownAddress = location.pathname + location.search; // of what is shown, without the place in it
  let listed = ""; // the search whose results are in the list; null once files have changed since
  let number = 0; // of the newest search
  let shown = 0; // of the search whose results are shown by meaning
  let typing = false; // whether the last entry of the history is the search that is being typed

  async function results(url, { quick = false, of = ++number } = {}) {
    const address = withPart(url, "results");
    if (quick) address.searchParams.set("quick", "1");
    const html = await part(quick ? "words" : "results", address);
    if (html === null || of < shown || of < number || (quick && shown >= of)) return;
    if (!quick) {
      shown = of;
      running.get("words")?.abort();
    }
    const focused = document.activeElement?.closest("#results .hit-item a.open");
    $("#results").innerHTML = html;
    // Who has gone to a hit meanwhile stays there.
    if (focused) (linkTo(new URL(focused.href)) ?? $("#results")).focus({ preventScroll: true });
    if (!quick) listed = searchOf(url);
    painted(quick ? "kb-words" : "kb-results");
    if (quick) return;
    clearTimeout(best.timer);
    best.timer = setTimeout(() => best(url, of), BEST_AFTER);
  }

  /** Show the best sentences of the hits, once the model has read them. */
  async function best(url, of) {
    const address = withPart(url, "results");
    address.searchParams.set("best", "1");
    const html = await part("best", address);
    if (html === null || of < number) return;
    const page = new DOMParser().parseFromString(html, "text/html");
    const found = new Map($$(".hit-item", page).map((item) => [$("a.open", item).getAttribute("href"), item]));
    for (const item of $$("#results .hit-item")) {
      const same = found.get($("a.open", item).getAttribute("href"));
      if (same && $(".excerpt", same)) $(".excerpt", item).replaceWith($(".excerpt", same));
    }
  }

  async function facets(url) {
    const html = await part("facets", withPart(url, "facets"));
    if (html !== null) $("#facets").innerHTML = html;
  }

  let timer = 0;

  function typed() {
    const url = sent($("#search"));
    close();
    const of = ++number;
    clearTimeout(timer);
    // The best sentences of what was asked before would keep the daemon from what is asked now.
    clearTimeout(best.timer);
    running.get("best")?.abort();
    performance.mark("kb-key");
    const asks = url.searchParams.has("q");
    if (asks) results(url, { quick: true, of });
    timer = setTimeout(() => {
      // Their links hold the question.
      results(url, { of }).then(() => of === number && facets(url));
      history[typing ? "replaceState" : "pushState"](null, "", url);
      shownAddress = url.pathname + url.search;
      lead(url);
      document.title = `${url.searchParams.get("q") ?? ""} · kb`;
      typing = true;
    }, asks ? MEANING_AFTER : 0);
  }

  // Read.

  function close() {
    body.classList.remove("reading", "alone");
    $("#document").replaceChildren();
  }

  /** Show what an address names: a search, or a document beside one. */
  async function show(address, { push = true, focus = false } = {}) {
    const url = new URL(address, location.href);
    typing = false;
    if (push) history.pushState(null, "", url);
    shownAddress = url.pathname + url.search;
    const reading = url.pathname === "/read";
    lead(url);
    if (!reading) {
      // A key just before would bring its own search back.
      clearTimeout(timer);
      const open = $("#results a.open[aria-current]");
      close();
      fill(url);
      document.title = `${url.searchParams.get("q") ?? ""} · kb`;
      // Back from a document: the list is as it was, and the focus where it was.
      if (listed === searchOf(url)) {
        mark(url);
        if (push) open?.focus();
        if (push) open?.closest(".hit-item").scrollIntoView({ block: "nearest" });
        if ($("#facets").childElementCount) return;
        await facets(url);
        return;
      }
      await Promise.all([results(url), facets(url)]);
      return;
    }
    const html = await part("document", withPart(url, "document"));
    if (html === null) return;
    const asks = (url.searchParams.has("q") || url.searchParams.has("like")) && !url.searchParams.has("alone");
    body.classList.add("reading");
    body.classList.toggle("alone", !asks);
    $("#document").innerHTML = html;
    scrollable();
    document.title = `${$("#document h1")?.textContent ?? ""} · kb`;
    mark(url);
    atPassage();
    if (focus) $("#document").focus({ preventScroll: true });
    if (asks && listed !== searchOf(url)) {
      fill(url);
      await results(url);
      mark(url);
    }
    painted("kb-document");
  }

  /** Bring the form to the search of an address. */
  function fill(url) {
    const form = $("#search");
    field.value = url.searchParams.get("q") ?? "";
    $("#mode").value = url.searchParams.get("mode") ?? "";
    $$("input[type=hidden]", form).forEach((input) => input.remove());
    for (const name of ["path", "tag", "type", "lang", "since", "until", "within"]) {
      for (const value of url.searchParams.getAll(name)) {
        const input = Object.assign(document.createElement("input"), { type: "hidden", name, value });
        form.append(input);
      }
    }
  }

  /** The link of the hit in the list that is at the place of an address, whatever was asked. */
  function linkTo(url) {
    const place = ({ searchParams: at }) => `${at.get("file")}\n${at.get("line")}`;
    return $$("#results .hit-item a.open").find((link) => place(new URL(link.href)) === place(url));
  }

  /** Mark the hit that is open in the list. */
  function mark(url) {
    const chosen = linkTo(url);
    for (const link of $$("#results .hit-item a.open")) {
      link.closest(".hit-item").classList.toggle("chosen", link === chosen);
      if (link === chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    showChosen();
  }

  /** Scroll the list beside a document, and nothing else, to the hit that is open. */
  function showChosen() {
    const [list, item] = [$(".results"), $("#results .hit-item.chosen")];
    if (!item || !body.classList.contains("reading")) return;
    const [top, bottom] = [item.offsetTop, item.offsetTop + item.offsetHeight];
    if (top < list.scrollTop || bottom > list.scrollTop + list.clientHeight) list.scrollTop = top - MARGIN;
  }

  /** Let keys scroll what is wider than the page, such as long lines of code, and nothing else. */
  function scrollable() {
    for (const block of $$(".content pre, .content table, .drawing")) {
      if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
      else block.removeAttribute("tabindex");
    }
  }

  function atPassage() {
    const passage = $("#passage");
    if (passage) passage.scrollIntoView({ block: "start" });
    else window.scrollTo(0, 0);
    const picture = $("#document .page-picture");
    if (!picture) return;
    if (picture.complete) atMark(picture);
    else picture.addEventListener("load", () => atMark(picture), { once: true });
  }

  /** Scroll to what is marked on the picture of a page, unless it is in view. */
  async function atMark(picture) {
    const answer = await fetch(picture.src, { cache: "force-cache" }).catch(() => null);
    const marked = answer?.headers.get("kb-marked");
    if (!marked || !picture.isConnected || window.scrollY > 0) return;
    const top = picture.getBoundingClientRect().top + Number(marked) * picture.height;
    if (top > window.innerHeight * IN_VIEW) window.scrollBy(0, top - window.innerHeight * (1 - IN_VIEW));
  }

  // Links within the page.

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const url = new URL(link.href, location.href);
    if (url.origin !== location.origin) {
      link.target = "_blank";
      return;
    }
    // A place in the document that is open: the browser goes there by itself.
    if (url.hash && url.pathname + url.search === shownAddress) return;
    if (link.id === "show-keys") {
      event.preventDefault();
      help();
    } else if (finder && (url.pathname === "/read" || (url.pathname === "/" && !link.closest(".bar")))) {
      event.preventDefault();
      show(url, { focus: event.detail === 0 });
    }
  });

  window.addEventListener("popstate", () => {
    if ($("main[data-streams]")) location.reload();
    const url = new URL(location.href);
    if (!finder || url.pathname + url.search === shownAddress) return;
    if (url.pathname !== "/read") fill(url);
    show(url, { push: false });
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.id === "launch") {
      event.preventDefault();
      launch(form);
    } else if ($("main[data-streams]") && form.matches(".search")) {
      event.preventDefault();
      const url = sent(form);
      if (url.searchParams.has("q")) ask(url);
    } else if (finder && (form.id === "search" || form.closest("#facets, #document"))) {
      event.preventDefault();
      show(sent(form));
      if (form.id === "search") {
        // From their first line on; the bar would cover it if the focus scrolled to them.
        $("#results").focus({ preventScroll: true });
        window.scrollTo(0, 0);
      }
    }
  });

  async function launch(form) {
    const request = { method: "POST", body: new URLSearchParams(new FormData(form)) };
    const response = await fetch(form.action, request).catch(() => null);
    if (!response || response.status === ENDED) return lost(response ? "ended" : "gone");
    const answer = await response.json();
    toast(response.ok ? `${body.dataset.opened}: ${answer.command}` : `${answer.problem}. ${answer.remedy}`);
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      toast(`${body.dataset.copied}: ${button.dataset.copy.split("\n")[0]}`);
    } catch {
      toast(body.dataset.failed);
    }
  });

  // What is asked for only when it is opened.
  document.addEventListener(
    "toggle",
    async (event) => {
      const details = event.target;
      if (!details.open || !details.dataset.fill) return;
      const address = details.dataset.fill;
      delete details.dataset.fill;
      const html = await part(address, address);
      if (html !== null) details.innerHTML = html;
    },
    true,
  );

  // Ask: what is being done, and each sentence of an answer, as they come.

  async function ask(url) {
    const main = $("main[data-streams]");
    history.pushState(null, "", url);
    lead(url);
    document.title = `${url.searchParams.get("q")} · kb`;
    running.get("ask")?.abort();
    const controller = new AbortController();
    running.set("ask", controller);
    const heading = Object.assign(document.createElement("h1"), { textContent: url.searchParams.get("q") });
    const step = Object.assign(document.createElement("p"), { className: "faint", textContent: body.dataset.searching });
    main.replaceChildren(heading, step);
    try {
      const response = await fetch(withPart(url, "1"), { signal: controller.signal });
      if (response.status === ENDED) return lost("ended");
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        const lines = (text + read.value).split("\n");
        text = lines.pop();
        for (const line of lines.map((one) => JSON.parse(one))) {
          if (line.step) step.textContent = line.step;
          if (line.claim) step.before(Object.assign(document.createElement("p"), { textContent: line.claim }));
          if (line.html) main.innerHTML = line.html;
        }
      }
    } catch (error) {
      if (error.name !== "AbortError") lost("gone");
    }
  }

  // Write.

  /** Keep a note that is not saved: the browser asks before the window leaves it. Control and Enter save it. */
  function write(form) {
    let saved = false;
    form.addEventListener("submit", () => (saved = true));
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    window.addEventListener("beforeunload", (event) => {
      if (!saved && $("textarea", form).value !== $("textarea", form).defaultValue) event.preventDefault();
    });
  }

  // Keys.

  const inField = () => document.activeElement?.matches("input, textarea, select");

  /** Move the choice in the list of results, and the focus with it. */
  function move(step) {
    const links = $$("#results a.open, .hits a.open").filter((link, at, all) => all.indexOf(link) === at && link.offsetParent);
    if (!links.length) return;
    const now = links.indexOf(document.activeElement);
    const chosen = links.findIndex((link) => link.getAttribute("aria-current"));
    const from = now >= 0 ? now : chosen >= 0 ? chosen : -1;
    const next = links[Math.max(0, Math.min(links.length - 1, from + step))];
    next.focus();
    next.closest(".hit-item")?.scrollIntoView({ block: "nearest" });
    if (body.classList.contains("reading") && !body.classList.contains("alone")) show(next.href);
  }

  function help() {
    let dialog = $("#keys-dialog");
    if (dialog?.open) return dialog.close();
    if (!dialog) {
      dialog = Object.assign(document.createElement("dialog"), { id: "keys-dialog" });
      dialog.setAttribute("aria-label", $("#show-keys").getAttribute("aria-label"));
      body.append(dialog);
    }
    return part("keys", "/keys").then((html) => {
      if (html === null) return;
      const page = new DOMParser().parseFromString(html, "text/html");
      dialog.replaceChildren($("#keys", page));
      dialog.showModal();
    });
  }

  const KEYS = {
    "/": () => (field.focus(), field.select()),
    "?": help,
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    o: () => {
      const link = document.activeElement?.matches("a.open") ? document.activeElement : $("a.open[aria-current]");
      if (!link) return;
      const url = new URL(link.href);
      url.searchParams.set("alone", "1");
      show(url, { focus: true });
    },
    e: () => $("#launch") && launch($("#launch")),
    n: () => $("#hit-next")?.click(),
    p: () => $("#hit-previous")?.click(),
    c: () => $("#copy-place")?.click(),
    Escape: () => $(".document .close")?.click(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("dialog[open]")) return;
    // The field has the focus when the page opens, and no question begins with one of these.
    const first = document.activeElement === field && !field.value && (event.key === "/" || event.key === "?");
    if (inField() && !first) {
      if (event.key === "Escape") document.activeElement.blur();
      else if (event.key === "ArrowDown" && document.activeElement === field && finder) {
        event.preventDefault();
        move(1);
      }
      return;
    }
    // In a document, arrows scroll.
    if (event.key.startsWith("Arrow") && document.activeElement?.closest("#document")) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // What happens in the daemon.

  function live() {
    const line = $("#live");
    let timer = 0;
    let later = 0;
    /** Show the document that is open as it is now, at the path to which it was moved. */
    const again = (moved) => {
      clearTimeout(later);
      later = setTimeout(async () => {
        const url = new URL(location.href);
        if (moved) url.searchParams.set("file", moved);
        const html = await part("document", withPart(url, "document"));
        if (html === null) return;
        $("#document").innerHTML = html;
        scrollable();
        history.replaceState(null, "", url);
        shownAddress = url.pathname + url.search;
      }, CALM);
    };
    const refresh = () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const status = $("#status");
        if (!status) return;
        const html = await part("status", status.dataset.fill);
        if (html !== null) status.innerHTML = html;
      }, CALM);
    };
    const on = {
      progress: (run) => {
        const [done, total] = run.to_embed ? [run.embedded_of, run.to_embed] : [run.files, run.files_total];
        line.hidden = total < 2;
        line.textContent = `${run.doing} ${done.toLocaleString("en")} / ${total.toLocaleString("en")}`;
        refresh();
      },
      run: () => {
        line.hidden = true;
        refresh();
      },
      state: refresh,
      file: (one) => {
        listed = null;
        const open = $(".document-head")?.dataset;
        if (open?.folder !== one.folder || ![one.path, one.before].includes(open.path)) return;
        // The folder / has its slash already.
        again(one.path === open.path ? "" : `${one.folder.replace(/\/$/, "")}/${one.path}`);
      },
      open: () => lost(""),
      gone: () => lost("gone"),
      ended: () => lost("ended"),
    };
    // A browser keeps few connections to one server, so one of its windows follows the events and tells the others.
    const windows = new BroadcastChannel("kb-events");
    windows.addEventListener("message", (event) => on[event.data.name](event.data.value));
    const tell = (name, value) => {
      windows.postMessage({ name, value });
      on[name](value);
    };
    navigator.locks.request("kb-events", () => {
      follow(tell);
      return new Promise((closed) => window.addEventListener("pagehide", closed));
    });
  }

  /** Tell the events of the daemon, and whether it answers, until the window is closed. */
  function follow(tell) {
    const source = new EventSource("/events");
    const close = () => source.close();
    for (const name of ["progress", "run", "state", "file"]) {
      source.addEventListener(name, (event) => tell(name, JSON.parse(event.data || "null")));
    }
    source.addEventListener("open", () => tell("open"));
    source.addEventListener("error", async () => {
      if (source.readyState === EventSource.CONNECTING) return tell("gone");
      // It was refused, and does not ask again by itself.
      const answer = await fetch("/keys").catch(() => null);
      tell(!answer ? "gone" : answer.status === ENDED ? "ended" : "open");
      window.removeEventListener("pagehide", close);
      setTimeout(() => follow(tell), AGAIN);
    });
    window.addEventListener("pagehide", close);
  }

  if (finder) {
    field.addEventListener("input", typed);
    $("#mode").addEventListener("change", () => show(sent($("#search"))));
    listed = body.classList.contains("alone") ? null : searchOf(new URL(location.href));
    if (location.pathname === "/read") {
      showChosen();
      atPassage();
    }
  }
  scrollable();
  window.addEventListener("resize", scrollable);
  if ($("form.note")) write($("form.note"));
  live();
})();
