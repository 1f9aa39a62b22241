"use strict";
// Details at once where the pointer is, and on a tap, which browsers have no titles for.
const tip = document.getElementById("tip");
for (const title of document.querySelectorAll(".scroll title")) {
  title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
function show(event) {
  const text = event.target instanceof Element && event.target.closest("[data-tip]")?.dataset.tip;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 16;
  const fits = below + tip.offsetHeight < innerHeight;
  tip.style.left = `${Math.max(left, 8)}px`;
  tip.style.top = `${fits ? below : event.clientY - tip.offsetHeight - 12}px`;
}
document.addEventListener("pointermove", show);
document.addEventListener("click", show);
document.addEventListener("scroll", () => { tip.hidden = true; }, true);

// The wider a picture is, the finer are its ticks. What was in the middle stays there; at first that
// is where the threads stop.
for (const zooms of document.querySelectorAll(".zooms")) {
  const figure = zooms.closest("figure");
  const scroll = figure.querySelector(".scroll");
  zooms.hidden = false;
  zooms.addEventListener("click", (event) => {
    if (!event.target.value) return;
    const seen = (scroll.scrollLeft + scroll.clientWidth / 2) / scroll.scrollWidth;
    const middle = figure.dataset.zoom === "1" ? figure.dataset.focus / 100 : seen;
    figure.dataset.zoom = event.target.value;
    for (const button of zooms.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === event.target));
    }
    scroll.scrollLeft = middle * scroll.scrollWidth - scroll.clientWidth / 2;
  });
}

// A link to a scenario opens it.
function open() {
  const sheet = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!sheet) return;
  sheet.open = true;
  sheet.scrollIntoView();
}
addEventListener("hashchange", open);
open();
