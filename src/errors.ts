/**
 * Every failure a caller can provoke is one of these. `code` is stable across releases; the message names the
 * file, tensor or offset, what was expected and what was found.
 */
export class FqvitError extends Error {
  override name = 'FqvitError';
  constructor(
    /** Stable, machine-readable: for example `CHECKPOINT_HEADER` or `IMAGE_TRUNCATED`. */
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A checkpoint (safetensors container, float model or integer model) that is damaged or not what it says. */
export class CheckpointError extends FqvitError {
  override name = 'CheckpointError';
}

/** An image that is damaged, too large or of a kind that is not supported. */
export class ImageError extends FqvitError {
  override name = 'ImageError';
}

/** Calibration data or a float model that cannot be quantised. */
export class QuantizeError extends FqvitError {
  override name = 'QuantizeError';
}

/** A kernel module that is missing, of another version, or memory that cannot grow. */
export class RuntimeError extends FqvitError {
  override name = 'RuntimeError';
}

/** A call that does not fit the API or the command line: a wrong option, a disposed model. */
export class UsageError extends FqvitError {
  override name = 'UsageError';
}

/** A model on the Hugging Face hub that cannot be had: not there, not allowed, not reachable, or not what it says. */
export class HubError extends FqvitError {
  override name = 'HubError';
}
