/**
 * Every failure that a caller can provoke is one of the errors below. The message names the file,
 * tensor, option or offset, what was expected and what was found.
 *
 * @example
 * ```ts
 * import { FqvitError, load } from 'fqvit';
 *
 * const model = await load('deit_cifar10');
 * try {
 *   await model.classify('labels.txt');
 * } catch (error) {
 *   if (!(error instanceof FqvitError)) throw error;
 *   console.log(error.name, error.code);
 * }
 * model.dispose();
 * ```
 * ```
 * ImageError IMAGE_FORMAT
 * ```
 */
export class FqvitError extends Error {
  /** The name of the class. */
  override name = 'FqvitError';
  /** @hidden */
  constructor(
    /** Stable and machine-readable, such as `CHECKPOINT_HEADER` or `IMAGE_TRUNCATED`. */
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A checkpoint, float or integer, is damaged, of another kind than expected, or not supported. */
export class CheckpointError extends FqvitError {
  override name = 'CheckpointError';
}

/** An image is damaged, too large or of a kind that is not supported. */
export class ImageError extends FqvitError {
  override name = 'ImageError';
}

/** A float model cannot be quantised, or not with these calibration images. */
export class QuantizeError extends FqvitError {
  override name = 'QuantizeError';
}

/** A source cannot be read, a kernel module does not fit, or memory or a worker is missing. */
export class RuntimeError extends FqvitError {
  override name = 'RuntimeError';
}

/** A call does not fit the API or the command line: a wrong option, a disposed model. */
export class UsageError extends FqvitError {
  override name = 'UsageError';
}

/** A model on the Hugging Face hub does not exist, is not allowed, not reachable or not intact. */
export class HubError extends FqvitError {
  override name = 'HubError';
}
