import { RuntimeError } from '../errors.js';

/** Redis refuses a command: its memory is full, it is a replica, or the user may not run it. */
export function isRefusal(error: unknown): error is Error {
  return (error as Error).name === 'ReplyError';
}

const LONGEST = 200;

/** The reply of Redis without the command's arguments and the password, which it may repeat. */
export function redisReply({ message }: Error, password?: string): string {
  const reply = message.replace(/,? with args.*/s, '');
  return (password ? reply.replaceAll(password, '…') : reply).slice(0, LONGEST);
}

/** A refusal or a timeout as RuntimeError `REDIS`; other errors unchanged. */
export function typedRefusal(error: unknown): unknown {
  if ((error as Error).message === 'Command timed out') {
    return new RuntimeError('REDIS', 'Redis: expected an answer in time, found none', { cause: error });
  }
  if (!isRefusal(error)) return error;
  return new RuntimeError('REDIS', `Redis: expected to do as it is asked, found ${redisReply(error)}`, {
    cause: error,
  });
}
