/** Keeps the status page up to date: lists from the API, changes from the event feed. Everything shown is set as text. */

const SHOWN_EVENTS = 30;
const SHOWN_UPDATES = 50;
const SHOWN_DEVICES = 200;
/** Changes of one moment are fetched together. */
const REFRESH_AFTER_MS = 300;
const FINAL = new Set(["succeeded", "failed", "silent", "fellBack", "cancelled", "skipped"]);

const byId = (id) => document.getElementById(id);
const images = new Map();
const updates = new Map();
let refreshTimer;

const create = (tag, text, className) => {
  const element = document.createElement(tag);
  element.textContent = text ?? "–";
  if (className) element.className = className;
  return element;
};

const read = async (path) => {
  const answer = await fetch(`api/v1/${path}`);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return await answer.json();
};

const clock = (instant) => new Date(instant).toLocaleTimeString();

const ago = (instant) => {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(instant)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 86400 ? `${Math.round(seconds / 3600)} h ago` : new Date(instant).toLocaleDateString();
};

const row = (...cells) => {
  const element = document.createElement("tr");
  for (const cell of cells) {
    const td = document.createElement("td");
    td.append(cell);
    element.append(td);
  }
  return element;
};

const bar = (update) => {
  const total = Math.max(1, update.totalBytes);
  const done = update.state === "succeeded" ? total : Math.min(total, update.acknowledgedBytes);
  const element = document.createElement("progress");
  element.max = total;
  element.value = done;
  element.title = `${done} of ${total} bytes`;
  element.textContent = `${Math.floor((100 * done) / total)} %`;
  return element;
};

const imageName = (id) => {
  const image = images.get(id);
  return image ? `${image.model} ${image.version}` : id;
};

const showUpdates = () => {
  const shown = [...updates.values()];
  byId("updates").replaceChildren(
    ...shown.map((update) =>
      row(
        create("span", update.endpoint),
        create("span", imageName(update.imageId)),
        create("span", update.failure ? `${update.state}: ${update.failure}` : update.state, `state-${update.state}`),
        bar(update),
        create("span", update.sentence),
      ),
    ),
  );
  byId("updates-empty").hidden = shown.length > 0;
  byId("figure-running").textContent = `${shown.filter((update) => !FINAL.has(update.state)).length}`;
};

const showDevices = ({ items, next }) => {
  byId("devices").replaceChildren(
    ...items.map((device) =>
      row(
        create("span", device.endpoint),
        create("span", device.presence, `presence-${device.presence}`),
        create("span", [device.manufacturer, device.model].filter(Boolean).join(" ") || "–"),
        create("span", device.version),
        create("span", device.address),
        create("time", ago(device.lastSeenAt)),
      ),
    ),
  );
  const count = next ? `${items.length}+` : `${items.length}`;
  byId("devices-empty").hidden = items.length > 0;
  byId("devices-more").hidden = !next;
  byId("devices-more").textContent = `The first ${items.length} devices; the command line lists them all.`;
  byId("figure-devices").textContent = count;
  byId("figure-registered").textContent = `${items.filter(({ presence }) => presence === "registered").length}`;
};

const addEvent = (event) => {
  const line = document.createElement("li");
  line.append(create("time", clock(event.at)), create("span", event.endpoint ?? ""), create("span", event.sentence));
  const list = byId("events");
  list.prepend(line);
  while (list.children.length > SHOWN_EVENTS) list.lastElementChild.remove();
};

const refresh = async () => {
  try {
    const [devicePage, updatePage, imagePage] = await Promise.all([
      read(`devices?limit=${SHOWN_DEVICES}`),
      read(`updates?limit=${SHOWN_UPDATES}`),
      read("images?limit=1000"),
    ]);
    for (const image of imagePage.items) images.set(image.id, image);
    updates.clear();
    for (const update of updatePage.items) updates.set(update.id, update);
    byId("figure-images").textContent = imagePage.next ? `${imagePage.items.length}+` : `${imagePage.items.length}`;
    showDevices(devicePage);
    showUpdates();
  } catch {
    refreshSoon(2000);
  }
};

const refreshSoon = (afterMs = REFRESH_AFTER_MS) => {
  if (refreshTimer !== undefined) return;
  refreshTimer = setTimeout(() => {
    refreshTimer = undefined;
    void refresh();
  }, afterMs);
};

const onEvent = (event) => {
  const update = updates.get(event.updateId);
  if (event.kind === "update.progress") {
    if (update === undefined) return;
    update.acknowledgedBytes = event.facts.acknowledgedBytes;
    showUpdates();
    return;
  }
  addEvent(event);
  refreshSoon();
};

const listen = () => {
  const connection = byId("connection");
  const feed = new EventSource("api/v1/events");
  feed.onopen = () => {
    connection.textContent = "live";
    connection.className = "";
    refreshSoon(0);
  };
  feed.onerror = () => {
    connection.textContent = "the server does not answer; trying again …";
    connection.className = "lost";
    if (feed.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  };
  feed.onmessage = (message) => onEvent(JSON.parse(message.data));
};

listen();
setInterval(() => refreshSoon(), 15_000);
