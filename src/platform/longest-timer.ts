/** The longest time of a timer: `setTimeout` ends a longer one at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;
