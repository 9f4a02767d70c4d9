// Which rows are chosen: those within a range of each column that has one. All views share one selection.

export class Selection {
  #ranges = new Map();
  #told = new Set();

  /** columns: their values by row, by index of the column. */
  constructor(columns, rows) {
    this.columns = columns;
    this.rows = rows;
    this.chosen = null;
    this.count = rows;
  }

  onChange(told) {
    this.#told.add(told);
  }

  range(index) {
    return this.#ranges.get(index) ?? null;
  }

  /** Edges are inclusive; null takes the range away. From above to: across the end of a circle, as right ascensions are. */
  set(ranges) {
    for (const [index, range] of ranges) {
      if (range) this.#ranges.set(index, range);
      else this.#ranges.delete(index);
    }
    this.chosen = this.#ranges.size ? new Uint8Array(this.rows).fill(1) : null;
    for (const [index, [from, to]] of this.#ranges) {
      const { values } = this.columns.get(index);
      const within = from <= to ? (value) => value >= from && value <= to : (value) => value >= from || value <= to;
      for (let row = 0; row < this.rows; row++) if (!within(values[row])) this.chosen[row] = 0;
    }
    this.count = this.chosen ? this.chosen.reduce((sum, one) => sum + one, 0) : this.rows;
    for (const told of this.#told) told();
  }

  clear() {
    this.set([...this.#ranges.keys()].map((index) => [index, null]));
  }

  /** The conditions of a WHERE; names(index) writes a column. */
  adql(name) {
    return [...this.#ranges].map(([index, [from, to]]) => {
      const column = name(index);
      if (from > to) return `(${column} >= ${from} OR ${column} <= ${to})`;
      if (from === -Infinity) return `${column} <= ${to}`;
      return to === Infinity ? `${column} >= ${from}` : `${column} BETWEEN ${from} AND ${to}`;
    }).join(" AND ");
  }
}
