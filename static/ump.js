/* Small helpers for server-rendered pages. Everything here has a path without script: a link, a form, a page. */
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const on = (type, selector, act) => document.addEventListener(type, (event) => {
    const hit = event.target instanceof Element && event.target.closest(selector);
    if (hit) act(hit, event);
  });

  /* --- Theme: kept in a cookie, so that the server can render it and no page flashes ------------------- */
  on("click", "[data-set-theme]", (button) => {
    const theme = button.dataset.setTheme;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `ump_theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    document.documentElement.dataset.theme = theme;
    $$("[data-set-theme]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    button.closest("[popover]")?.hidePopover();
  });

  /* --- Toasts ------------------------------------------------------------------------------------------ */
  const LIFETIME = 9000;
  const keep = (toast) => toast.matches(":hover, :focus-within");
  const fade = (toast) => {
    if (!["ok", "info"].includes(toast.dataset.tone)) return;
    const end = () => (keep(toast) ? setTimeout(end, LIFETIME) : toast.remove());
    setTimeout(end, LIFETIME);
  };
  const toast = (tone, text) => {
    const copy = $("#toast-template")?.content.firstElementChild.cloneNode(true);
    if (!copy) return;
    copy.dataset.tone = tone;
    $("p", copy).textContent = text;
    $(".toasts").append(copy);
    fade(copy);
  };
  $$(".toasts .note").forEach(fade);
  on("click", "[data-dismiss]", (button) => button.closest(".note").remove());
  document.addEventListener("ump:toast", ({ detail }) => toast(detail.tone || "info", detail.text || detail.value));

  /* --- Copy buttons ------------------------------------------------------------------------------------ */
  on("click", "[data-copy]", async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      toast("ok", "Copied.");
    } catch {
      toast("warn", "The browser does not allow copying here. Select the text and copy it yourself.");
    }
  });

  /* --- Dialogs: a link or a button to a page whose #dialog part is shown in place ----------------------- */
  const modal = $("#modal");
  on("click", "[data-dialog]", (link, event) => {
    event.preventDefault();
    document.getElementById(link.dataset.dialog)?.showModal();
  });
  on("click", "[data-close]", (button, event) => {
    const dialog = button.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  });
  on("click", "[data-modal]", (trigger, event) => {
    if (!modal || !window.htmx || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    trigger.closest("[popover]")?.hidePopover();
    const verb = trigger.form ? trigger.form.method || "get" : "get";
    const address = trigger.href || trigger.formAction;
    const values = trigger.form ? Object.fromEntries(grouped(new FormData(trigger.form, trigger))) : {};
    htmx.ajax(verb, address, { source: modal, target: "#modal", select: "#dialog", swap: "innerHTML", values });
  });
  const grouped = (data) => new Map([...new Set(data.keys())].map((key) => [key, data.getAll(key)]));
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.target !== modal || detail.xhr.status !== 422) return; // a mistake in a form that answers in place
    detail.shouldSwap = true;
    detail.isError = false;
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== modal) return;
    if (!modal.firstElementChild) { location.assign(detail.pathInfo.requestPath); return; }
    const title = $("h1, h2", modal);
    if (title) { title.id ||= "modal-title"; modal.setAttribute("aria-labelledby", title.id); }
    if (!modal.open) modal.showModal();
    ($("[aria-invalid=true]", modal) || $("[autofocus]", modal))?.focus();
  });

  /* --- Live parts: htmx polls; nothing is asked while nobody looks --------------------------------------- */
  const lastAnswer = new WeakMap();
  const lastTag = new WeakMap();
  const kept = new WeakMap();
  const live = (element) => element?.hasAttribute?.("data-live");
  const named = (element) => ["value", "popovertarget", "href"]
    .map((name) => [name, element.getAttribute(name)]).find(([, value]) => value);
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (live(event.detail.elt) && document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (live(detail.elt) && lastTag.has(detail.elt)) detail.headers["If-None-Match"] = lastTag.get(detail.elt);
  });
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const element = detail.requestConfig?.elt;
    if (!live(element)) return;
    if (detail.xhr.status === 304) { detail.shouldSwap = false; return; }
    const writing = ":popover-open, input:not([type=checkbox]):focus, select:focus";
    const reading = element.contains(document.activeElement) && $(writing, element);
    if (reading || lastAnswer.get(element) === detail.serverResponse) { detail.shouldSwap = false; return; }
    lastAnswer.set(element, detail.serverResponse);
    lastTag.set(element, detail.xhr.getResponseHeader("ETag") || "");
    if (!lastTag.get(element)) lastTag.delete(element);
    /* What a person did in it stays: ticked rows, opened details, where the keyboard is. */
    kept.set(element, [
      $$("td.tick input:checked", element).map((box) => box.value),
      $$("details[open][id]", element).map((details) => details.id),
      element.contains(document.activeElement) ? named(document.activeElement) : undefined,
    ]);
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    const element = detail.requestConfig?.elt;
    if (!live(element) || !kept.has(element)) return;
    const [ticked, opened, focus] = kept.get(element);
    kept.delete(element);
    $$("td.tick input", element).forEach((box) => { box.checked = ticked.includes(box.value); });
    opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    if (focus) $(`[${focus[0]}="${CSS.escape(focus[1])}"]`, element)?.focus({ preventScroll: true });
    const list = element.closest(".list");
    if (list) bulk(list);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.xhr?.status === 286) detail.elt.removeAttribute("data-live");
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) $$("[data-live]").forEach((element) => element.dispatchEvent(new Event("ump:wake")));
  });

  /* --- htmx: answers that are no answer ------------------------------------------------------------------ */
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (detail.verb !== "get" || !detail.elt.matches("[data-filter]")) return;
    const sort = new URLSearchParams(location.search).get("sort");
    if (sort) detail.formData.set("sort", sort); // chosen since the form was drawn: only the list is swapped
    for (const [name, value] of [...detail.formData]) if (value === "") detail.formData.delete(name);
  });
  document.addEventListener("htmx:pushedIntoHistory", () => {
    const now = new URLSearchParams(location.search);
    now.delete("page");
    $$("a[data-export]").forEach((link) => { link.search = now; });
  });
  document.addEventListener("htmx:responseError", ({ detail }) => {
    if (live(detail.elt)) return;
    const words = { 403: "You are not allowed to do that.", 404: "That is not there any more.", 429: "Too many requests. Wait a moment." };
    toast("bad", words[detail.xhr.status] || `The portal answered with an error (${detail.xhr.status}). Nothing was changed.`);
  });
  let silent = false;
  document.addEventListener("htmx:sendError", () => {
    if (!silent) toast("warn", "The portal cannot be reached. What you see may be out of date.");
    silent = true;
  });
  document.addEventListener("htmx:afterOnLoad", () => { silent = false; });

  /* --- Ages grow while a page stays open ----------------------------------------------------------------- */
  const UNITS = [[86400, "day"], [3600, "hour"], [60, "min"]];
  const words = (seconds) => {
    const past = seconds >= 0;
    const size = Math.abs(seconds);
    if (size < 45) return past ? "just now" : "in a moment";
    const [length, name] = UNITS.find(([unit]) => size >= unit) || [60, "min"];
    const count = Math.max(1, Math.floor(size / length));
    const unit = name === "min" || count === 1 ? name : `${name}s`;
    return past ? `${count} ${unit} ago` : `in ${count} ${unit}`;
  };
  const age = () => $$("time[data-ago]").forEach((time) => {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (Math.abs(seconds) < 31 * 86400) time.textContent = words(seconds);
  });
  setInterval(age, 30000);

  /* --- Select all, bulk count ---------------------------------------------------------------------------- */
  const bulk = (list) => {
    const boxes = $$("td.tick input", list);
    const ticked = boxes.filter((box) => box.checked).length;
    const all = $("thead .tick input", list);
    if (all) { all.checked = ticked > 0 && ticked === boxes.length; all.indeterminate = ticked > 0 && ticked < boxes.length; }
    $$("[data-bulk-count]", list).forEach((place) => { place.textContent = String(ticked); });
  };
  on("change", ".tick input", (box) => {
    const list = box.closest(".list");
    if (box.closest("thead")) $$("td.tick input", list).forEach((other) => { other.checked = box.checked; });
    bulk(list);
  });
  on("click", "[data-bulk-clear]", (button) => {
    const list = button.closest(".list");
    $$("td.tick input", list).forEach((box) => { box.checked = false; });
    bulk(list);
  });

  /* --- Keyboard: / search, j k rows, x select, Enter opens, ? help --------------------------------------- */
  const typing = (target) => target.matches?.("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]");
  const step = (by) => {
    const rows = $$(".list tbody tr").filter((row) => row.offsetParent);
    if (!rows.length) return;
    const here = rows.indexOf(document.activeElement.closest?.("tbody tr"));
    const row = rows[here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + by))];
    row.tabIndex = -1;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  };
  const keys = {
    "/": () => ($(".tools input[type=search]") || $("#search"))?.focus(),
    j: () => step(1),
    k: () => step(-1),
    x: (target) => $("td.tick input", target.closest?.("tbody tr") || document.createElement("tr"))?.click(),
    "?": () => $("#keys")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target;
    if (event.key === "Enter" && target.matches?.("tbody tr")) { $("a[href]", target)?.click(); return; }
    if (typing(target) || $("dialog[open]") || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key](target);
  });

  /* --- Menus in browsers that cannot anchor them with CSS ------------------------------------------------ */
  if (!CSS.supports("position-area: bottom")) {
    document.addEventListener("toggle", (event) => {
      const menu = event.target;
      if (!menu.matches?.(".menu") || event.newState !== "open") return;
      const box = $(`[popovertarget="${menu.id}"]`).getBoundingClientRect();
      menu.style.top = `${Math.min(box.bottom, innerHeight - menu.offsetHeight - 8)}px`;
      menu.style.left = `${Math.max(8, box.right - menu.offsetWidth)}px`;
    }, true);
  }

  /* --- Passkeys: say in words what the browser's exception means ----------------------------------------- */
  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    const cancelled = event.detail.exception?.name === "NotAllowedError";
    toast("warn", cancelled ? "The passkey was not used: it was cancelled or took too long." : "The passkey could not be used in this browser.");
  });

  /* --- Print and download recovery codes need no script; printing does ------------------------------------ */
  on("click", "[data-print]", () => window.print());
})();
