// The rules of 2048, and nothing of the page. A game is { cells, score, goesOn }: the values of the tiles, row by row, with
// 0 where there is none; and whether the player goes on after the goal. No function changes the game that it is given.

export const SIZE = 4;
export const GOAL = 2048;
const LARGEST = 131072; // a board has no room for more

const CELLS = SIZE * SIZE;
const count = [...Array(SIZE).keys()];

// The lines of cells along which tiles slide, each from the wall that they slide to.
const LINES = {
  left: count.map(line => count.map(place => line * SIZE + place)),
  right: count.map(line => count.map(place => line * SIZE + SIZE - 1 - place)),
  up: count.map(line => count.map(place => place * SIZE + line)),
  down: count.map(line => count.map(place => (SIZE - 1 - place) * SIZE + line)),
};

export const DIRECTIONS = Object.keys(LINES);

// `random` returns numbers from 0 to below 1, as Math.random does.
export function newGame(random) {
  const empty = { cells: Array(CELLS).fill(0), score: 0, goesOn: false };
  return addTile(addTile(empty, random).game, random).game;
}

// Where the tiles of one line end up: { from: one cell or the two that are joined, to, value }.
function slide(cells, line) {
  const tiles = [];
  for (const cell of line) {
    const value = cells[cell];
    const last = tiles.at(-1);
    if (value === 0) continue;
    if (last?.value === value && last.from.length === 1) {
      last.value += value;
      last.from.push(cell);
    } else {
      tiles.push({ value, from: [cell], to: line[tiles.length] });
    }
  }
  return tiles;
}

function addTile(game, random) {
  const free = game.cells.flatMap((value, cell) => (value === 0 ? [cell] : []));
  const cell = free[Math.floor(random() * free.length)];
  const value = random() < 0.9 ? 2 : 4;
  return { game: { ...game, cells: game.cells.map((old, at) => (at === cell ? value : old)) }, cell };
}

const moves = tile => tile.from.length === 2 || tile.from[0] !== tile.to;

// Returns { game, tiles, added, gained }: the game after the move, where its tiles come from (see slide()), the cell of the
// tile that is added, and the points; or null if nothing can move that way, or the game waits or is over.
export function move(game, direction, random) {
  if (phase(game) !== "playing") return null;
  const tiles = LINES[direction].flatMap(line => slide(game.cells, line));
  if (!tiles.some(moves)) return null;

  const cells = Array(CELLS).fill(0);
  let gained = 0;
  for (const { from, to, value } of tiles) {
    cells[to] = value;
    if (from.length === 2) gained += value;
  }
  const { game: after, cell: added } = addTile({ ...game, cells, score: game.score + gained }, random);
  return { game: after, tiles, added, gained };
}

// "won" while a game that has reached the goal waits for the player to go on, "over" when nothing can move, or "playing".
export function phase({ cells, goesOn }) {
  if (!goesOn && cells.some(value => value >= GOAL)) return "won";
  const canMove = DIRECTIONS.some(direction => LINES[direction].some(line => slide(cells, line).some(moves)));
  return canMove ? "playing" : "over";
}

export function goOn(game) {
  return { ...game, goesOn: true };
}

// Whether `thing`, from wherever it comes, is a game that can be played on.
export function isGame(thing) {
  const isTile = value => Number.isInteger(value) && value >= 2 && value <= LARGEST && Number.isInteger(Math.log2(value));
  return Array.isArray(thing?.cells) && thing.cells.length === CELLS
    && thing.cells.every(value => value === 0 || isTile(value)) && thing.cells.some(isTile)
    && Number.isSafeInteger(thing.score) && thing.score >= 0 && typeof thing.goesOn === "boolean";
}
