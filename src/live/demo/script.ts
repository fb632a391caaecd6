/** Plain JavaScript for any browser of these years; it is what a client of live push does at least. */
export const SCRIPT = `"use strict";
const at = (id) => document.getElementById(id);
let token, socket, lastEventId, chosen, pause = 500, shown = new Set(), reading = false, again = false;

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { ...(token ? { authorization: "Bearer " + token } : {}), ...(body ? { "content-type": "application/json" } : {}) },
    body: body ? JSON.stringify(body) : undefined,
  });
  const { success, data, message } = await answer.json();
  if (!success) throw new Error(message);
  return data;
}

const guarded = (work) => async (event) => {
  event.preventDefault();
  at("problem").textContent = "";
  try { await work(event); } catch (error) { at("problem").textContent = error.message; }
};

// A ticket opens one connection: each attempt takes its own, and goes on behind the last message that had an id.
async function connect() {
  try {
    const { ticket } = await call("POST", "/api/live/tickets");
    const query = new URLSearchParams({ ticket, ...(lastEventId ? { last_event_id: lastEventId } : {}) });
    socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/ws?" + query);
    socket.onopen = () => { pause = 500; at("state").textContent = "connected"; };
    socket.onmessage = ({ data }) => hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      at("state").textContent = "closed: " + (reason || code);
      if (code !== 4401) later();
    };
  } catch (error) {
    at("problem").textContent = error.message;
    later();
  }
}

function later() {
  setTimeout(connect, pause * (0.5 + Math.random()));
  pause = Math.min(pause * 2, 15000);
}

function hear({ type, id, time, data }) {
  if (id) lastEventId = id;
  if (type === "gap") return void all();
  if (type === "balance") at("balance").textContent = data.available;
  if (type === "notice") line(at("notices"), time.slice(11, 19) + " " + (data.message || data.kind));
  if (type === "topup") line(at("notices"), time.slice(11, 19) + " top-up " + data.order_no + " is " + data.status);
  if (type === "task.status") void tasks();
  if (!chosen || data.task_id !== chosen) return;
  if (type === "task.status") at("status").textContent = data.status + (data.message ? ": " + data.message : "");
  if (type === "task.progress") progress(data.progress);
  if (type === "task.log") log(data.level + " " + (data.frame ?? "") + " " + data.message);
  if (type !== "task.log") void frames();
}

function line(list, text) {
  const item = document.createElement("li");
  item.textContent = text;
  list.prepend(item);
}

function log(text) {
  const box = at("log");
  box.textContent += text + "\\n";
  box.scrollTop = box.scrollHeight;
}

function progress(percent) {
  at("progress").value = percent;
  at("percent").textContent = percent + " %";
}

async function tasks() {
  const { items } = await call("GET", "/api/tasks?page_size=15");
  at("tasks").replaceChildren(...items.map((task) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.textContent = task.name + " · " + task.status + " · " + task.cost;
    button.onclick = guarded(() => choose(task.id));
    item.append(button);
    return item;
  }));
}

async function choose(id) {
  chosen = id;
  shown = new Set();
  at("task").hidden = false;
  at("frames").replaceChildren();
  at("log").textContent = "";
  const task = await call("GET", "/api/tasks/" + id);
  at("title").textContent = task.name;
  at("status").textContent = task.status;
  progress(task.progress);
  const { items } = await call("GET", "/api/tasks/" + id + "/logs?page_size=100");
  for (const entry of items) log(entry.level + " " + (entry.frame ?? "") + " " + entry.message);
  await frames();
}

// Finished frames appear in their order; one reading at a time.
async function frames() {
  if (reading) return void (again = true);
  reading = true;
  try {
    do {
      again = false;
      const id = chosen;
      for (let page = 1, more = true; more && page <= 5; page++) {
        const list = await call("GET", "/api/tasks/" + id + "/frames?page_size=100&page=" + page);
        more = page * 100 < list.total;
        for (const { frame, file_id } of list.items) {
          if (!file_id || shown.has(frame) || id !== chosen) continue;
          shown.add(frame);
          const { url } = await call("GET", "/api/files/" + file_id + "/download");
          const picture = document.createElement("img");
          picture.src = url;
          picture.alt = picture.title = "frame " + frame;
          picture.style.order = frame;
          if (id === chosen) at("frames").append(picture);
        }
      }
    } while (again);
  } catch (error) {
    at("problem").textContent = error.message;
  }
  reading = false;
}

async function all() {
  const balance = await call("GET", "/api/user/balance");
  at("balance").textContent = balance.available;
  await tasks();
  if (chosen) await choose(chosen);
}

at("login").onsubmit = guarded(async ({ target }) => {
  token = (await call("POST", "/api/auth/login", Object.fromEntries(new FormData(target)))).access_token;
  at("login").hidden = true;
  at("main").hidden = false;
  await connect();
  await all();
});

at("make").onsubmit = guarded(async ({ target }) => {
  const { name, frames: count } = Object.fromEntries(new FormData(target));
  const task = await call("POST", "/api/tasks", { name, engine: "simulate", frame_start: 1, frame_end: Number(count), width: 320, height: 180 });
  await tasks();
  await choose(task.id);
});

for (const button of document.querySelectorAll("[data-action]"))
  button.onclick = guarded(async () => {
    const task = await call("POST", "/api/tasks/" + chosen + "/" + button.dataset.action);
    at("status").textContent = task.status;
  });
`;
