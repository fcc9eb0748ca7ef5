// The log as it grows, the progress of jobs, and instants of searches in the reader's zone.
(() => {
  "use strict";
  const ROWS_MAX = 300;

  // On a narrow screen the sections are a row that can be longer than the screen.
  const row = document.querySelector(".side nav");
  const here = row?.querySelector("[aria-current]");
  if (here && row.scrollWidth > row.clientWidth) row.scrollLeft = here.offsetLeft - row.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;

  // What is sent stays UTC; what is shown and typed is the reader's own time.
  const two = (number) => String(number).padStart(2, "0");
  for (const input of document.querySelectorAll("input[data-utc]")) {
    const sent = document.createElement("input");
    sent.type = "hidden";
    sent.name = input.name;
    input.removeAttribute("name");
    input.after(sent);
    const label = document.querySelector(`label[for="${input.id}"]`);
    if (label) label.textContent = input.dataset.utc;
    const instant = new Date(`${input.value}Z`);
    if (!Number.isNaN(instant.getTime())) {
      const local = new Date(instant.getTime() - instant.getTimezoneOffset() * 60000);
      input.value = local.toISOString().slice(0, 19);
    }
    const keep = () => {
      const typed = new Date(input.value);
      sent.value = Number.isNaN(typed.getTime()) ? "" : `${typed.getUTCFullYear()}-${two(typed.getUTCMonth() + 1)}-${two(typed.getUTCDate())}T${two(typed.getUTCHours())}:${two(typed.getUTCMinutes())}:${two(typed.getUTCSeconds())}`;
    };
    keep();
    input.addEventListener("change", keep);
    input.form?.addEventListener("submit", keep);
  }

  const tail = document.querySelector("[data-tail]");
  const follow = () => {
    const said = tail.querySelector("[role=status]");
    const button = tail.querySelector("button");
    let source = null;
    let paused = false;
    let after = tail.dataset.after;
    const say = (text, on) => { said.textContent = text; tail.classList.toggle("on", on); };

    const add = (html) => {
      const body = document.querySelector("#log tbody");
      if (!body) { location.reload(); return; }
      const holder = document.createElement("template");
      holder.innerHTML = html;
      const rows = [...holder.content.querySelectorAll("tr[data-id]")];
      for (const row of rows.reverse()) {
        if (body.querySelector(`tr[data-id="${row.dataset.id}"]`)) continue;
        row.classList.add("fresh");
        // Ids sort by time; who took long comes in below those that were faster.
        const below = [...body.querySelectorAll("tr[data-id]")].find((other) => other.dataset.id < row.dataset.id);
        body.insertBefore(row, below ?? null);
      }
      while (body.rows.length > ROWS_MAX) body.lastElementChild.remove();
      window.baton.setTimes(body);
      window.baton.setRoles(body);
    };
    const gap = () => {
      const body = document.querySelector("#log tbody");
      const top = body?.querySelector("tr[data-id]");
      if (!top) return;
      const row = body.insertRow(0);
      row.className = "gap";
      // Where it belongs in the order: right above what was the newest, below what comes in now.
      row.dataset.id = top.dataset.id;
      const cell = row.insertCell();
      cell.colSpan = 9;
      cell.textContent = "More ran in between than is shown here.";
    };
    const close = () => { source?.close(); source = null; };
    const open = () => {
      if (source || paused || document.hidden) return;
      const address = new URL(tail.dataset.tail, location.href);
      if (after) address.searchParams.set("after", after);
      source = new EventSource(address);
      source.addEventListener("open", () => say("Live", true));
      source.addEventListener("gap", gap);
      source.addEventListener("rows", (event) => { after = event.lastEventId || after; add(event.data); });
      source.addEventListener("error", () => {
        // A browser comes back by itself from a connection that broke, not from a refusal.
        if (source.readyState === EventSource.CLOSED) {
          source = null;
          say("Not live; load the page again", false);
          // An event stream cannot say why it is refused; a page can.
          window.baton.ask(location.href).catch(() => {});
        }
        else say("Connecting", false);
      });
    };
    button.addEventListener("click", () => {
      paused = !paused;
      button.textContent = paused ? "Go on" : "Pause";
      if (paused) { close(); say("Paused", false); } else open();
    });
    // Browsers keep few connections to a server: a page that nobody looks at gives its own back.
    document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
    addEventListener("pagehide", close);
    addEventListener("pageshow", open);
    tail.hidden = false;
    say("Connecting", false);
    open();
  };
  if (tail && window.EventSource) follow();

  const job = document.querySelector("[data-progress]");
  const look = async () => {
    try {
      const part = await window.baton.ask(job.dataset.progress);
      if (part === null) return;
      job.innerHTML = part;
      window.baton.setTimes(job);
    } catch { /* The next look may do. */ }
    if (!job.querySelector("[data-ended]")) setTimeout(look, 1000);
    else for (const of of document.querySelectorAll(".while-running")) of.hidden = true;
  };
  if (job && !job.querySelector("[data-ended]")) setTimeout(look, 1000);

  const all = document.querySelector("input[data-all]");
  if (all) {
    const boxes = [...document.querySelectorAll("input[name=pick]")];
    all.hidden = false;
    all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
    for (const box of boxes) box.addEventListener("change", () => { all.checked = boxes.every((of) => of.checked); });
  }
})();
