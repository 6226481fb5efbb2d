// Keeps the page up to date: asks for what has changed, replaces the sections that did, and
// counts times up and down. All HTML is made by the server, which escapes what others wrote.
"use strict";
(() => {
  const EVERY = 1000, UNSEEN = 10000, RETRY = 3000;
  const main = document.querySelector("main");
  const problem = document.getElementById("problem");
  const age = document.getElementById("age");
  const path = location.pathname.replace(/\/$/, "");
  let version = main.dataset.version;
  // The clock of the server less that of the browser, and when the API server last answered.
  let ahead = 0, heard = Date.now(), told = null;

  // As kubectl prints ages.
  const length = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60);
    if (s < 120) return `${s}s`;
    if (m < 10) return s % 60 ? `${m}m${s % 60}s` : `${m}m`;
    if (h < 3) return `${m}m`;
    if (h < 8) return m % 60 ? `${h}h${m % 60}m` : `${h}h`;
    if (h < 48) return `${h}h`;
    const d = Math.floor(h / 24);
    return d < 730 ? `${d}d` : `${Math.floor(d / 365)}y`;
  };

  const put = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const count = () => {
    const now = Date.now() + ahead;
    for (const time of document.querySelectorAll("time[data-counts]")) {
      const at = Date.parse(time.dateTime);
      if (Number.isNaN(at)) continue;
      time.title = new Date(at).toLocaleString();
      put(time, length(time.dataset.counts === "up" ? now - at : at - now));
    }
    const silence = length(Date.now() - heard);
    put(age, told ? `not up to date since ${silence}` : `the cluster answered ${silence} ago`);
    // Read aloud, so it does not count.
    put(problem, told ? `What you see is old. ${told}` : "");
    problem.hidden = !told;
    document.body.classList.toggle("old", Boolean(told));
  };

  // What the reader has opened, scrolled or stands on is found again by its id.
  const replace = ({ id, html }) => {
    const section = document.getElementById(id);
    const focused = section.contains(document.activeElement) ? document.activeElement : null;
    const spot = focused && (focused.id || focused.getAttribute("href"));
    const open = [...section.querySelectorAll("details[open]")].map((known) => known.id);
    const summary = focused?.tagName === "SUMMARY" ? focused.parentElement.id : null;
    const scrolled = [...section.querySelectorAll(".wide")].map((w) => [w.id, w.scrollLeft]);
    section.innerHTML = html;
    section.hidden = html === "";
    for (const known of open) document.getElementById(known)?.setAttribute("open", "");
    for (const [known, left] of scrolled) {
      const wide = document.getElementById(known);
      if (wide) wide.scrollLeft = left;
    }
    const again = summary
      ? document.getElementById(summary)?.querySelector("summary")
      : spot && [...section.querySelectorAll("a, .wide")]
          .find((element) => (element.id || element.getAttribute("href")) === spot);
    if (again) again.focus({ preventScroll: true });
  };

  const shown = new Map();
  const ask = async () => {
    let pause = document.hidden ? UNSEEN : EVERY;
    try {
      const patience = AbortSignal.timeout(10000);
      const answer = await fetch(`/live/${version}${path}`, { signal: patience });
      if (!answer.ok) throw new Error(await answer.text());
      const news = await answer.json();
      ahead = Date.parse(news.now) - Date.now();
      heard = Date.now() - news.silentForSeconds * 1000;
      told = news.problem;
      version = news.version;
      for (const section of news.sections ?? []) {
        if (shown.get(section.id) === section.html) continue;
        shown.set(section.id, section.html);
        replace(section);
      }
    } catch (error) {
      told = `zonespread ui does not answer: ${error.message}`;
      pause = RETRY;
    }
    count();
    setTimeout(ask, pause);
  };

  document.addEventListener("visibilitychange", count);
  setInterval(count, 1000);
  count();
  ask();
})();
