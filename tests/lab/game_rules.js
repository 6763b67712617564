// The rules of the game by example and at random, as the body of a function for a page of 2048. Returns what is wrong.
return (async () => {
  const { DIRECTIONS, goOn, isGame, move, newGame, phase } = await import("/game.js");
  const faults = [];
  const expect = (what, got, wanted) => {
    if (JSON.stringify(got) !== JSON.stringify(wanted))
      faults.push(`${what}: ${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
  };
  const first = () => 0; // the first free cell, and a 2
  const last = () => 0.95; // one of the last free cells, and a 4
  const gameOf = (...rows) => ({ cells: rows.flat(), score: 100, goesOn: false });
  const none = [0, 0, 0, 0];

  // A row that slides to the left, without the new tile; it comes into the second row.
  const slid = (row, at = 0) => {
    const moved = move(gameOf(row, none, [2, 4, 8, 16], none), "left", last);
    return moved && [moved.game.cells.slice(0, 4), moved.gained];
  };
  expect("two equal tiles are joined", slid([2, 2, 0, 0]), [[4, 0, 0, 0], 4]);
  expect("across a gap too", slid([2, 0, 0, 2]), [[4, 0, 0, 0], 4]);
  expect("different ones are not", slid([0, 2, 4, 2]), [[2, 4, 2, 0], 0]);
  expect("a tile that was joined is not joined again", slid([2, 2, 4, 0]), [[4, 4, 0, 0], 4]);
  expect("nor the other way round", slid([4, 2, 2, 0]), [[4, 4, 0, 0], 4]);
  expect("four are two and two", slid([2, 2, 2, 2]), [[4, 4, 0, 0], 8]);
  expect("of three, those nearest to the wall", slid([0, 8, 8, 8]), [[16, 8, 0, 0], 16]);
  expect("nothing moves: no move", slid([2, 4, 8, 16]), null);

  const corner = gameOf([0, 0, 0, 0], [0, 2, 0, 0], none, none);
  const at = direction => move(corner, direction, last).game.cells.indexOf(2);
  expect("tiles go where they are told to", DIRECTIONS.map(direction => [direction, at(direction)]),
    [["left", 4], ["right", 7], ["up", 1], ["down", 13]]);
  expect("columns are joined downwards", move(gameOf([2, 0, 0, 0], [2, 0, 0, 0], [2, 0, 0, 0], none), "down", last).game.cells
    .filter((_, cell) => cell % 4 === 0).slice(2), [2, 4]);

  const moved = move(gameOf([4, 4, 0, 0], none, none, none), "right", first);
  expect("points are added up", [moved.gained, moved.game.score], [8, 108]);
  expect("the new tile is a 2 nine times of ten", [moved.added, moved.game.cells[0]], [0, 2]);
  expect("or else a 4", move(corner, "left", last).game.cells[15], 4);
  expect("where tiles come from", moved.tiles, [{ value: 8, from: [1, 0], to: 3 }]);
  expect("the game before is as it was", corner.cells.filter(Boolean), [2]);

  const full = [[2, 4, 2, 4], [4, 2, 4, 2], [2, 4, 2, 4], [4, 2, 4, 8]];
  expect("a full board without equal neighbours is the end", phase(gameOf(...full)), "over");
  expect("one pair is enough to go on", phase(gameOf(...full.slice(0, 3), [4, 2, 8, 8])), "playing");
  expect("so is a pair above each other", phase(gameOf(...full.slice(0, 3), [2, 8, 16, 32])), "playing");
  expect("so is a free cell", phase(gameOf(...full.slice(0, 3), [4, 2, 4, 0])), "playing");
  const won = move(gameOf([1024, 1024, 0, 0], none, none, none), "left", last).game;
  expect("2048 wins, and the game waits", [phase(won), move(won, "right", last)], ["won", null]);
  expect("and goes on", [phase(goOn(won)), move(goOn(won), "right", last).game.cells[3]], ["playing", 2048]);

  expect("what is no game", [null, 7, {}, { ...corner, score: -1 }, { ...corner, cells: [2] }, { ...corner, goesOn: 1 },
    gameOf(none, none, none, none), gameOf([3, 0, 0, 0], none, none, none), gameOf(["2", 0, 0, 0], none, none, none),
    gameOf([1, 0, 0, 0], none, none, none), gameOf([2 ** 40, 0, 0, 0], none, none, none)].filter(isGame), []);

  // Whole games: tiles are neither lost nor made, and there is an end.
  const total = cells => cells.reduce((sum, value) => sum + value, 0);
  for (let seed = 1; seed <= 50; seed++) {
    let state = seed;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    let game = newGame(random);
    expect("a new game has two tiles", [game.cells.filter(Boolean).length, game.score], [2, 0]);
    let moves = 0;
    while (phase(game) !== "over") {
      const result = move(game, DIRECTIONS[Math.floor(random() * 4)], random);
      if (!result) continue;
      moves++;
      const added = result.game.cells[result.added];
      expect("the sum grows by the new tile", total(result.game.cells), total(game.cells) + added);
      expect("a game is a game", isGame(result.game), true);
      expect("tiles and board agree", result.tiles.every(({ to, value }) => result.game.cells[to] === value)
        && result.tiles.length + 1 === result.game.cells.filter(Boolean).length, true);
      game = result.game;
    }
    if (moves < 20) faults.push(`a game of ${moves} moves`);
    if (DIRECTIONS.some(direction => move(game, direction, random))) faults.push("a move after the end");
  }
  return faults;
})();
