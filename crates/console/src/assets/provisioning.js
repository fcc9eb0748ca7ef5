// Handlers are put in order by dragging their row, or with the arrow keys on its grip.
(() => {
  "use strict";
  const table = document.querySelector("table[data-move]");
  if (!table) return;
  const form = document.getElementById("actions");
  const rows = (body) => [...body.querySelectorAll("tr[data-id]")];

  // Where it is to run: right "before" or right "after" another handler.
  const move = (row, side, other) => {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = side;
    field.value = other.dataset.id;
    form.append(field);
    form.action = `/console/provisioning/${row.dataset.id}/move`;
    sessionStorage.setItem("baton-moved", row.id);
    form.requestSubmit();
  };

  for (const row of table.querySelectorAll("tr[data-id]")) {
    const grip = document.createElement("button");
    grip.type = "button";
    grip.className = "grip";
    grip.textContent = "⋮⋮";
    const name = row.querySelector(".name a").textContent;
    grip.setAttribute("aria-label", `Move ${name} with the arrow keys`);
    grip.title = "Drag, or press arrow up or down";
    grip.draggable = true;
    row.querySelector("form.prio").prepend(grip);
    grip.addEventListener("keydown", (event) => {
      const all = rows(row.parentElement);
      const at = all.indexOf(row);
      if (event.key === "ArrowUp" && at > 0) { event.preventDefault(); move(row, "before", all[at - 1]); }
      if (event.key === "ArrowDown" && at < all.length - 1) { event.preventDefault(); move(row, "after", all[at + 1]); }
    });
  }

  const moved = sessionStorage.getItem("baton-moved");
  if (moved) {
    sessionStorage.removeItem("baton-moved");
    document.getElementById(moved)?.querySelector(".grip")?.focus();
  }

  let dragged = null;
  const clear = () => { for (const row of table.querySelectorAll(".drop-before, .drop-after")) row.classList.remove("drop-before", "drop-after"); };
  const target = (event) => {
    const row = event.target.closest?.("tr[data-id]");
    if (!dragged || !row || row === dragged || row.parentElement !== dragged.parentElement) return null;
    const box = row.getBoundingClientRect();
    return { row, after: event.clientY > box.top + box.height / 2 };
  };
  table.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("tr[data-id]");
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.id);
    event.dataTransfer.setDragImage(dragged, 20, 20);
    dragged.classList.add("dragged");
  });
  table.addEventListener("dragover", (event) => {
    clear();
    const at = target(event);
    if (!at) return;
    event.preventDefault();
    at.row.classList.add(at.after ? "drop-after" : "drop-before");
  });
  table.addEventListener("drop", (event) => {
    const at = target(event);
    if (!at) return;
    event.preventDefault();
    move(dragged, at.after ? "after" : "before", at.row);
  });
  table.addEventListener("dragend", () => { clear(); dragged?.classList.remove("dragged"); dragged = null; });
})();

// A priority that is typed is sent when its field is left: a number that nobody has sent would look saved. Escape puts it back.
(() => {
  "use strict";
  for (const form of document.querySelectorAll("form.prio")) {
    const field = form.elements.namedItem("priority");
    let [sent, typed] = [false, false];
    field.title = "Saved by Enter or when the field is left; Escape puts it back";
    form.addEventListener("submit", () => { sent = true; });
    field.addEventListener("input", () => { typed = true; });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") field.value = field.defaultValue;
    });
    field.addEventListener("blur", () => {
      const value = field.value.trim();
      // An empty field is no number yet, and one in a window that is left for another is not left itself.
      if (sent || value === "" || value === field.defaultValue || document.activeElement === field) return;
      form.requestSubmit();
    });
    // What the browser kept of an earlier visit was not sent either.
    window.addEventListener("pageshow", (event) => {
      sent = false;
      if (event.persisted || !typed) field.value = field.defaultValue;
    });
  }
})();

// Edits of a handler that are not saved: the browser asks before they are left, and the test says that it knows nothing of them.
(() => {
  "use strict";
  const form = document.getElementById("handler");
  if (!form) return;
  const differs = (field) => {
    if (field.type === "radio" || field.type === "checkbox") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") {
      const first = [...field.options].find((option) => option.defaultSelected) ?? field.options[0];
      return field.selectedOptions[0] !== first;
    }
    return ["INPUT", "TEXTAREA"].includes(field.tagName) && field.type !== "hidden" && field.value !== field.defaultValue;
  };
  const isDirty = () => "unsaved" in form.dataset || [...form.elements].some(differs);
  const said = document.getElementById("unsaved");
  const say = () => { if (said) said.hidden = !isDirty(); };
  let sent = false;
  form.addEventListener("input", say);
  form.addEventListener("submit", () => { sent = true; });
  window.addEventListener("pageshow", () => { sent = false; say(); });
  window.addEventListener("beforeunload", (event) => { if (!sent && isDirty()) event.preventDefault(); });
})();

// The form of a handler: the chain beside it and the times of the attempts follow what is typed.
(() => {
  "use strict";
  const form = document.getElementById("handler");
  if (!form) return;
  const follow = (place, path, names) => {
    const target = document.getElementById(place);
    let asked = 0;
    let timer;
    const load = async () => {
      const number = ++asked;
      const query = new URLSearchParams();
      for (const name of names) query.set(name, form.elements.namedItem(name)?.value ?? "");
      if (form.dataset.id) query.set("id", form.dataset.id);
      try {
        const part = await window.baton.ask(`${path}?${query}`);
        if (part !== null && number === asked) target.innerHTML = part;
      } catch {
        // The last answer stays; saving says what is wrong.
      }
    };
    form.addEventListener("input", (event) => {
      if (!names.includes(event.target.name)) return;
      clearTimeout(timer);
      timer = setTimeout(load, 200);
    });
  };
  follow("chain", "/console/provisioning/chain", ["event", "name", "priority", "status"]);
  follow("retry", "/console/provisioning/retry", ["max_attempts", "first_delay_ms", "max_delay_ms"]);

  // A pasted address brings its scheme along.
  form.elements.namedItem("url").addEventListener("input", (event) => {
    const scheme = /^(https?):\/\//.exec(event.target.value.trim());
    if (scheme) form.querySelector(`input[name="task"][value="${scheme[1]}"]`).checked = true;
  });
  document.getElementById("errors")?.focus();
})();
