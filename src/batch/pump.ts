/** Results that may wait for their turn. */
const MOST_EARLY = 1000;

export interface PumpOptions<Item, Result> {
  work(item: Item): Promise<Result>;
  /** Takes a result, in the order of the items or of completion. */
  emit(result: Result): void;
  /** If it returns a promise, no item begins until that settles. */
  room(): Promise<void> | undefined;
  isOrdered: boolean;
  atOnce: number;
}

/**
 * Works on several items at once, taken on demand. @throws at once like `work`, `emit`, `room`,
 * `items`
 */
export function pump<Item, Result>(
  items: AsyncIterable<Item>,
  options: PumpOptions<Item, Result>,
): Promise<void> {
  const { work, emit, room, isOrdered, atOnce } = options;
  const early = new Map<number, Result>();
  let started = 0;
  let running = 0;
  let emitted = 0;
  let isOver = false;
  let wake = () => {};
  const change = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });

  const finish = (position: number, result: Result) => {
    running--;
    early.set(isOrdered ? position : emitted, result);
    while (early.has(emitted)) {
      const next = early.get(emitted)!;
      early.delete(emitted++);
      emit(next);
    }
    wake();
  };

  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      isOver = true;
      wake();
      reject(error);
    };
    const feed = async () => {
      for await (const item of items) {
        while (!isOver && (running === atOnce || started - emitted === MOST_EARLY)) await change();
        await room();
        if (isOver) return;
        const position = started++;
        running++;
        work(item)
          .then((result) => isOver || finish(position, result))
          .catch(fail);
      }
      while (!isOver && running > 0) await change();
    };
    feed().then(resolve, fail);
  });
}
