// What the pages do by script: hear the stream, poll where it is broken, and ask before an action. Without scripts every
// page works all the same: it is reloaded to see what is new, and an action asks on a page of its own.
"use strict";
(() => {
  const POLL_MS = 5000;
  const live = document.getElementById("live");
  const state = document.getElementById("link-state");
  const dialog = document.getElementById("confirm");
  let polling = null;
  let asker = null;

  const WORDS = {
    live: "Live",
    polling: "The stream is broken: refreshed every 5 s",
    held: "Held while jobs are selected",
  };
  // Announced when it changes later on: a page that opens is not to be talked over.
  const tell = (name, words = WORDS[name]) => {
    if (!state || state.dataset.state === name) return;
    if (state.dataset.state !== "off") state.setAttribute("role", "status");
    state.dataset.state = name;
    state.textContent = words;
  };

  // What somebody has opened or selected outlives the next state of the page.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name) => name !== "open";
  Idiomorph.defaults.callbacks.beforeNodeMorphed = (old) => !(old.nodeType === 1 && old.hasAttribute("data-keep"));

  const selected = () => (live ? live.querySelectorAll('input[name="id"]:checked') : []);
  const isTyping = () => live && live.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox])");
  const isHeld = () => selected().length > 0 || isTyping();

  const poll = async () => {
    if (document.hidden || isHeld()) return;
    await htmx.ajax("GET", live.dataset.fragment, { source: live, target: live, swap: "morph:innerHTML" }).catch(() => {});
  };
  const startPolling = () => {
    if (polling === null && live) {
      polling = setInterval(poll, POLL_MS);
      tell("polling");
    }
  };
  const stopPolling = () => {
    clearInterval(polling);
    polling = null;
    tell("live");
  };

  if (live) {
    let failed = 0;
    let source = null;
    document.body.addEventListener("htmx:sseOpen", (event) => {
      failed = 0;
      stopPolling();
      if (source === event.detail.source) return; // it has come back by itself, and is heard already
      source = event.detail.source;
      source.addEventListener("out", () => location.reload());
      source.addEventListener("away", ({ data }) => {
        const words = data.charAt(0).toUpperCase() + data.slice(1);
        tell("away", `${words}. What you see is of ${new Date().toLocaleTimeString([], { hour12: false })}.`);
      });
    });
    // A browser has few connections to one host: a page that nobody looks at keeps none.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        if (source) source.close();
      } else {
        live.dataset.seen = Date.now();
        htmx.process(live);
      }
    });
    document.body.addEventListener("htmx:sseError", () => { failed += 1; if (failed > 1) startPolling(); });
    document.body.addEventListener("htmx:sseBeforeMessage", (event) => {
      if (isHeld()) {
        event.preventDefault();
        if (selected().length) tell("held");
      } else if (polling === null) {
        tell("live");
      }
    });
    document.body.addEventListener("htmx:sseMessage", count);
  }

  // Selecting jobs
  function count() {
    const words = live && live.querySelector("[data-selected]");
    if (!words) return;
    const number = selected().length;
    words.textContent = number ? `${number} selected` : "Nothing selected";
    live.querySelectorAll("[data-needs-selection]").forEach((button) => { button.disabled = number === 0; });
    const all = live.querySelector("[data-select-all]");
    const boxes = live.querySelectorAll('input[name="id"]');
    if (all) {
      all.checked = number > 0 && number === boxes.length;
      all.indeterminate = number > 0 && number < boxes.length;
    }
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-select-all]")) {
      live.querySelectorAll('input[name="id"]').forEach((box) => { box.checked = event.target.checked; });
    }
    if (event.target.matches('[data-select-all], input[name="id"]')) {
      count();
      if (!selected().length && state && state.dataset.state === "held") {
        tell(polling === null ? "live" : "polling");
        poll();
      }
    }
  });
  count();

  // What goes on by itself, unless somebody stops it
  const goOn = document.querySelector("[data-go-on]");
  if (goOn) setTimeout(() => goOn.requestSubmit(), 400);

  // The date of a time, where the browser is; without scripts it is in UTC.
  document.addEventListener("mouseover", (event) => {
    const at = event.target.closest && event.target.closest("time[datetime]");
    if (at) at.title = new Date(at.dateTime).toLocaleString();
  });

  // Asking before an action
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target === dialog) asker = document.activeElement;
  });
  // Not sooner: as the last of its swap htmx takes the focus back to where it begins.
  document.body.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target === dialog && !dialog.open) dialog.showModal();
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    if (event.detail.target === dialog) location.assign(event.detail.pathInfo.finalRequestPath);
  });
  if (dialog) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) {
        event.preventDefault();
        dialog.close();
      }
    });
    dialog.addEventListener("close", () => { if (asker && asker.isConnected) asker.focus(); });
    // Once: a second click is not a second deed.
    dialog.addEventListener("submit", (event) => {
      if (event.target.dataset.sent) event.preventDefault();
      event.target.dataset.sent = "yes";
    });
  }
})();
