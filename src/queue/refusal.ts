import { RuntimeError } from '../errors.js';

/** Redis is there and does not do what it is asked: its memory is full, it is a replica, the user may not. */
export function isRefusal(error: unknown): error is Error {
  return (error as Error).name === 'ReplyError';
}

/** As RuntimeError `REDIS` what is a refusal; anything else as it is. */
export function typedRefusal(error: unknown): unknown {
  if (!isRefusal(error)) return error;
  return new RuntimeError('REDIS', `Redis: expected to do as it is asked, found ${error.message}`, {
    cause: error,
  });
}
