// Results as they come: an Arrow IPC stream, batch by batch.
import { DataType, RecordBatchReader } from "apache-arrow";

const END = [255, 255, 255, 255, 0, 0, 0, 0]; // the end of a stream (Arrow IPC, "Streaming format")

/** The rows of a result. A value is found by row and column; what is missing is null. */
export class Rows {
  rows = 0;
  bytes = 0;
  overflow = false;
  /** Whether the stream came to its end: a query that failed on its way has none. */
  whole = false;
  columns = [];
  infos = [];
  #batches = [];
  #starts = [];

  add(batch) {
    if (batch.metadata?.get("QUERY_STATUS") === "OVERFLOW") this.overflow = true;
    if (!batch.numRows) return;
    this.#starts.push(this.rows);
    this.#batches.push(batch.schema.fields.map((_, index) => batch.getChildAt(index)));
    this.rows += batch.numRows;
  }

  value(row, column) {
    let low = 0, high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return this.#batches[low][column].get(row - this.#starts[low]);
  }
}

/** Read a stream. progress(rows) is called for each batch. A stream that breaks off keeps what came. */
export async function read(stream, progress) {
  const result = new Rows();
  let tail = [];
  const counted = stream.pipeThrough(new TransformStream({
    transform(chunk, out) {
      result.bytes += chunk.length;
      tail = [...tail, ...chunk.subarray(-8)].slice(-8);
      out.enqueue(chunk);
    },
  }));
  try {
    const reader = await RecordBatchReader.from(counted);
    await reader.open();
    result.columns = reader.schema.fields.map(({ name, type, metadata }) => ({
      name,
      unit: metadata.get("unit") ?? "",
      ucd: metadata.get("ucd") ?? "",
      description: metadata.get("description") ?? "",
      number: DataType.isInt(type) || DataType.isFloat(type),
      time: DataType.isTimestamp(type) || DataType.isDate(type),
    }));
    result.infos = JSON.parse(reader.schema.metadata.get("infos") ?? "[]");
    for await (const batch of reader) {
      result.add(batch);
      progress(result);
    }
    result.whole = END.every((byte, index) => tail[index] === byte);
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  return result;
}
