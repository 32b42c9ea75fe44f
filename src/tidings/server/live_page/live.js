// The newest events, live, until something better takes this page's place. It reads the server's
// own routes; every address is relative, so the page works behind a proxy with any prefix.
"use strict";

const NEWEST = 200;
const LONGEST = 500; // characters of a payload
const AGAIN = 5000; // milliseconds

const [rows, state, pause, nothing, entry, key] =
  ["events", "state", "pause", "nothing", "entry", "key"].map((id) => document.getElementById(id));
let waiting = []; // rows that are not shown yet, oldest first
let paused = false;
let position = null; // of the newest event that was read

function say(kind, text) {
  state.dataset.state = kind;
  state.textContent = text;
}

function row(texts, className) {
  const line = document.createElement("tr");
  if (className) line.className = className;
  for (const text of texts) line.insertCell().textContent = text;
  return line;
}

function add(event) {
  position = event.position;
  const payload = JSON.stringify(event.payload);
  const shown = payload.length > LONGEST ? payload.slice(0, LONGEST) + "…" : payload;
  const when = new Date(event.timestamp).toLocaleString();
  const line = row([event.position, when, event.type, event.project, event.status, shown]);
  if (event.status === "failure") line.cells[4].className = "failure";
  wait(line);
}

function wait(line) {
  if (!waiting.length && !paused) requestAnimationFrame(show);
  waiting.push(line);
  if (waiting.length > NEWEST) waiting.shift();
  if (paused) pause.textContent = `Resume (${waiting.length}${waiting.length < NEWEST ? "" : "+"} new)`;
}

function show() {
  if (paused) return;
  rows.prepend(...waiting.reverse());
  waiting = [];
  while (rows.rows.length > NEWEST) rows.deleteRow(-1);
  nothing.hidden = rows.rows.length > 0;
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", paused);
  pause.textContent = paused ? "Resume" : "Pause";
  show();
});

async function get(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return answer.json();
}

async function begin() {
  say("connecting", "Connecting …");
  try {
    const who = await get("../session");
    entry.hidden = who.authenticated || !who.keys;
    if (!entry.hidden) {
      say("lost", "Not connected: a key is needed");
      return;
    }
    if (position === null) {
      const page = await get(`../events/?limit=${NEWEST}&order=desc`);
      position = 0;
      page.events.reverse().forEach(add);
    }
    follow();
  } catch (error) {
    comeBack(error.message);
  }
}

function comeBack(reason) {
  say("lost", `Not connected (${reason}); trying again …`);
  setTimeout(begin, AGAIN);
}

function follow() {
  const source = new EventSource(`../events/stream?event=none&after=${position}`);
  source.onopen = () => say("live", "Live");
  source.onmessage = (message) => add(JSON.parse(message.data));
  source.addEventListener("gap", (message) => {
    const gap = JSON.parse(message.data);
    position = gap.first - 1;
    wait(row([gap.first, "", "", "", "", "Events before this position are gone"], "gap"));
  });
  source.onerror = () => {
    // A browser comes back by itself after a lost connection, but not after a refusal.
    if (source.readyState === EventSource.CLOSED) comeBack("refused");
    else say("lost", "Connection lost; trying again …");
  };
}

entry.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const answer = await fetch("../session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ key: key.value }),
  });
  key.value = "";
  if (answer.ok) begin();
  else say("lost", "That key is not known here, or no longer valid");
});

begin();
