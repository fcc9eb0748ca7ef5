// Betters pages that work without it: times in the reader's zone, drop-downs that close by themselves.
(() => {
  "use strict";
  document.documentElement.classList.add("js");
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const short = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });

  const rough = (seconds) => {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  };
  const apart = (instant) => {
    const seconds = Math.trunc((Date.now() - instant) / 1000);
    if (seconds === 0) return "just now";
    return seconds > 0 ? `${rough(seconds)} ago` : `in ${rough(-seconds)}`;
  };
  const next = (instant) => (instant > Date.now() ? `in ${rough(Math.ceil((instant - Date.now()) / 1000))}` : "due");
  const SHOWN = { ago: apart, next, at: (instant) => short.format(instant) };
  const setTimes = (root) => {
    for (const time of root.querySelectorAll("time[data-show]")) {
      const instant = new Date(time.dateTime);
      if (Number.isNaN(instant.getTime())) continue;
      time.title = `${exact.format(instant)}\n${time.dateTime}`;
      time.textContent = (SHOWN[time.dataset.show] ?? SHOWN.at)(instant);
    }
  };
  setTimes(document);
  setInterval(() => { if (!document.hidden) setTimes(document); }, 5000);

  // Narrow screens show tables as blocks, which some browsers no longer take for tables: their roles are said outright.
  const ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell", "th[scope=col]": "columnheader", "th[scope=rowgroup]": "rowheader" };
  const setRoles = (root) => {
    for (const [which, role] of Object.entries(ROLES)) for (const part of root.querySelectorAll(which)) part.setAttribute("role", role);
  };
  setRoles(document);

  // Says once that the session has ended; what is typed into the page stays.
  const ended = (sentence) => {
    if (document.getElementById("ended")) return;
    const said = document.createElement("div");
    said.id = "ended";
    said.className = "said bad";
    said.setAttribute("role", "alert");
    said.textContent = `${sentence} What you have typed stays: when you send it, you are asked to sign in first. `;
    const link = document.createElement("a");
    link.className = "inline";
    link.href = `/console/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = "Sign in";
    said.append(link);
    document.getElementById("main")?.prepend(said);
  };
  // The text of a page or of a part of one; nothing where there is none.
  const ask = async (address) => {
    const answer = await fetch(address, { headers: { accept: "text/html", "baton-script": "1" }, redirect: "error" });
    if (answer.status === 401) ended(await answer.text());
    else document.getElementById("ended")?.remove();
    return answer.ok ? answer.text() : null;
  };
  // For other scripts.
  window.baton = { setTimes, setRoles, ask };

  for (const button of document.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard) break;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }

  for (const button of document.querySelectorAll("button[data-cancel]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const drop = button.closest("details");
      drop.open = false;
      drop.querySelector("summary").focus();
    });
  }

  const close = (except) => {
    for (const open of document.querySelectorAll("details[data-closes][open]")) if (!open.contains(except)) open.open = false;
  };
  document.addEventListener("click", (event) => close(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.activeElement?.closest("details[data-closes][open]");
    close(null);
    open?.querySelector("summary").focus();
  });
})();
