// The page: draws the game, keeps it from visit to visit, and turns keys and swipes into moves.

import { SIZE, goOn, isGame, move, newGame, phase } from "./game.js";

const UNDO_MAX = 50; // games
const SWIPE = 24; // CSS pixels that a finger goes before it is a swipe

const element = id => document.getElementById(id);
const plain = number => number.toLocaleString("en");

// --- what is kept ---
// Where the browser denies storage, the game is forgotten with the page.

function stored(name) {
  try {
    return JSON.parse(localStorage.getItem(`2048.${name}`));
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(`2048.${name}`, JSON.stringify(value));
  } catch {
    // Played on without.
  }
}

const storedBest = () => Math.max(0, Number(stored("best")) || 0);

const kept = [stored("games")].flat().filter(isGame);
let game = kept.pop() ?? newGame(Math.random);
let past = kept; // games that can be gone back to, the latest last
let best = storedBest();

function keep() {
  best = Math.max(best, storedBest(), game.score);
  store("best", best);
  store("games", [...past, game]);
}

// --- the board ---

const tilesAt = Array(SIZE * SIZE).fill(null); // the tiles' elements, by cell
let settle = () => {}; // ends what the latest move still shows

function place(tile, cell) {
  tile.style.setProperty("--column", cell % SIZE);
  tile.style.setProperty("--row", Math.floor(cell / SIZE));
  tilesAt[cell] = tile;
}

function show(tile, value) {
  tile.dataset.value = value;
  tile.dataset.digits = String(value).length;
  tile.textContent = value;
}

function addTile(cell, value, how) {
  const tile = document.createElement("div");
  tile.className = `tile ${how}`;
  show(tile, value);
  place(tile, cell);
  element("tiles").append(tile);
}

function drawBoard() {
  settle = () => {};
  element("tiles").replaceChildren();
  tilesAt.fill(null);
  game.cells.forEach((value, cell) => value && addTile(cell, value, "added"));
}

// Lets the tiles slide; joined and added ones show when they have arrived, or when the next move comes.
function drawMove({ tiles, added }) {
  settle();
  const before = [...tilesAt];
  const joined = tiles.filter(tile => tile.from.length === 2);
  const addedValue = game.cells[added];
  tilesAt.fill(null);
  for (const tile of element("tiles").children) tile.className = "tile";
  for (const { from, to } of tiles) {
    for (const cell of from) place(before[cell], to);
  }

  settle = () => {
    settle = () => {};
    for (const { from, to, value } of joined) {
      before[from[0]].remove();
      show(tilesAt[to], value);
      tilesAt[to].classList.add("joined");
    }
    addTile(added, addedValue, "added");
  };
  const thisMove = settle;
  const slides = element("tiles").getAnimations({ subtree: true }).map(animation => animation.finished);
  Promise.allSettled(slides).then(() => settle === thisMove && settle());
}

function drawTable() {
  for (const [cell, value] of game.cells.entries()) {
    element("table").rows[Math.floor(cell / SIZE)].cells[cell % SIZE].textContent = value || "empty";
  }
}

// --- what is around it ---

function drawScores(gained = 0) {
  element("score").textContent = plain(game.score);
  element("best").textContent = plain(best);
  if (gained === 0) return;
  const points = document.createElement("span");
  points.className = "gained";
  points.textContent = `+${plain(gained)}`;
  points.setAttribute("aria-hidden", "true");
  points.addEventListener("animationend", () => points.remove());
  element("score").parentElement.querySelector(".gained")?.remove();
  element("score").parentElement.append(points);
}

const VERDICTS = {
  won: ["2048!", "The red belt is yours. There is more beyond."],
  over: ["No more moves", "The board is full, and no two neighbours are equal."],
};

function drawVerdict() {
  const now = phase(game);
  const [title, text] = VERDICTS[now] ?? ["", ""];
  const verdict = element("verdict");
  const hadFocus = verdict.contains(document.activeElement);
  verdict.hidden = now === "playing";
  verdict.dataset.phase = now;
  element("verdict-title").textContent = title;
  element("verdict-text").textContent = text;
  element("go-on").hidden = now !== "won";
  element("take-back").hidden = now !== "over" || past.length === 0;
  element("undo").disabled = past.length === 0;
  if (now === "won") element("go-on").focus({ preventScroll: true });
  else if (now === "over") element("again").focus({ preventScroll: true });
  else if (hadFocus) element("board").focus({ preventScroll: true });
  return title;
}

function say(text) {
  element("said").textContent = text;
}

// Keeps and draws a game that no move led to.
function change(to, said) {
  game = to;
  keep();
  drawBoard();
  drawTable();
  drawScores();
  say(`${said} Score ${game.score}. ${drawVerdict()}`);
}

// --- playing ---

function remember() {
  past = [...past, game].slice(-UNDO_MAX);
}

function play(direction) {
  const moved = move(game, direction, Math.random);
  if (!moved) return;
  remember();
  game = moved.game;
  keep();
  drawMove(moved);
  drawTable();
  drawScores(moved.gained);
  const joined = moved.tiles.filter(tile => tile.from.length === 2).map(tile => tile.value);
  const what = joined.length ? `Joined to ${joined.join(" and ")}` : `Moved ${direction}`;
  const where = `row ${Math.floor(moved.added / SIZE) + 1}, column ${moved.added % SIZE + 1}`;
  say(`${what}. Score ${game.score}. New ${game.cells[moved.added]} in ${where}. ${drawVerdict()}`);
}

function undo() {
  if (past.length > 0) change(past.pop(), "Undone.");
}

function startAnew() {
  remember();
  change(newGame(Math.random), "New game.");
}

// --- keys, buttons and swipes ---

const KEYS = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
  KeyA: "left", KeyD: "right", KeyW: "up", KeyS: "down", // by their places on the keyboard, whatever letters are there
};

addEventListener("keydown", event => {
  const command = event.ctrlKey || event.metaKey;
  if (command && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "z") {
    event.preventDefault();
    undo();
  } else if (!command && !event.altKey && event.code in KEYS) {
    event.preventDefault();
    play(KEYS[event.code]);
  }
});

function swipe(x, y) {
  if (Math.max(Math.abs(x), Math.abs(y)) < SWIPE) return null;
  if (Math.abs(x) > Math.abs(y)) return x < 0 ? "left" : "right";
  return y < 0 ? "up" : "down";
}

let pressed = null; // the pointer that may become a swipe

addEventListener("pointerdown", event => {
  const onBoard = event.target.closest?.("main") && !event.target.closest("button");
  pressed = event.isPrimary && event.button === 0 && onBoard ? event : null;
});

addEventListener("pointermove", event => {
  if (pressed?.pointerId !== event.pointerId) return;
  const direction = swipe(event.clientX - pressed.clientX, event.clientY - pressed.clientY);
  if (!direction) return;
  pressed = null;
  play(direction);
});

for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { pressed = null; });

element("undo").addEventListener("click", undo);
element("take-back").addEventListener("click", undo);
element("new-game").addEventListener("click", startAnew);
element("again").addEventListener("click", startAnew);
element("go-on").addEventListener("click", () => change(goOn(game), "Going on."));

for (let row = 0; row < SIZE; row++) {
  const cells = element("table").insertRow();
  for (let column = 0; column < SIZE; column++) {
    cells.insertCell();
    element("cells").append(document.createElement("div"));
  }
}
change(game, "");
