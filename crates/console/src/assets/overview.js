// The Overview: plots that are read by keyboard and in the reader's zone, and figures that stay up to date while somebody looks at them.
(() => {
  "use strict";
  const EVERY = 5000;
  const live = () => document.getElementById("live");
  if (!live()) return;
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  // A slider over the plot: one tab stop, a step for each arrow key, and its value is said by screen readers.
  const setPlot = (box) => {
    const svg = box.querySelector("svg");
    const steps = [...svg.querySelectorAll(".hover")];
    const said = steps.map((step) => {
      const title = step.querySelector("title");
      const figures = title.textContent.split("\n").slice(1);
      const at = whole.format(new Date(step.dataset.at));
      title.textContent = [at, step.dataset.at, ...figures].join("\n");
      return [at, ...figures].join(" · ");
    });
    for (const text of svg.querySelectorAll("text[data-at]")) text.textContent = clock.format(new Date(text.dataset.at));
    svg.querySelector(".zone")?.remove();
    if (!steps.length) return;

    const cursor = document.createElement("div");
    cursor.className = "cursor";
    cursor.tabIndex = 0;
    cursor.setAttribute("role", "slider");
    cursor.setAttribute("aria-label", `${box.closest("section").getAttribute("aria-label")}, step`);
    cursor.setAttribute("aria-valuemin", "1");
    cursor.setAttribute("aria-valuemax", String(steps.length));
    const read = document.createElement("div");
    read.className = "read";
    read.hidden = true;
    read.setAttribute("aria-hidden", "true");
    box.append(cursor, read);

    let at = steps.length - 1;
    const go = (to) => {
      at = Math.max(0, Math.min(steps.length - 1, to));
      cursor.setAttribute("aria-valuenow", String(at + 1));
      cursor.setAttribute("aria-valuetext", said[at]);
    };
    const show = (on) => {
      for (const [index, step] of steps.entries()) step.classList.toggle("here", on && index === at);
      read.textContent = said[at];
      read.hidden = !on;
    };
    go(at);
    cursor.addEventListener("focus", () => show(true));
    cursor.addEventListener("blur", () => show(false));
    cursor.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -steps.length, End: steps.length }[event.key];
      if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(at + by);
      show(true);
    });
  };
  const setPlots = () => { for (const box of live().querySelectorAll(".plotbox")) setPlot(box); };

  const look = async () => {
    const reads = live().querySelector("details[open]") || live().contains(document.activeElement);
    if (document.hidden || reads) return;
    const page = await window.baton.ask(location.href);
    if (page === null) return;
    const next = new DOMParser().parseFromString(page, "text/html").getElementById("live");
    // What has the focus by now is not taken away.
    if (!next || live().contains(document.activeElement)) return;
    live().replaceWith(document.adoptNode(next));
    window.baton.setTimes(live());
    window.baton.setRoles(live());
    setPlots();
  };
  setPlots();
  setInterval(() => look().catch(() => {}), EVERY);
})();
