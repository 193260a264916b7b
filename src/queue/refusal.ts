import { RuntimeError } from '../errors.js';

/** Redis is there and does not do what it is asked: its memory is full, it is a replica, the user may not. */
export function isRefusal(error: unknown): error is Error {
  return (error as Error).name === 'ReplyError';
}

const LONGEST = 200;

/** What Redis says, without the command's arguments and the password, which it may repeat. */
export function redisReply({ message }: Error, password?: string): string {
  const reply = message.replace(/,? with args.*/s, '');
  return (password ? reply.replaceAll(password, '…') : reply).slice(0, LONGEST);
}

/** As RuntimeError `REDIS` what is a refusal or a silence; anything else as it is. */
export function typedRefusal(error: unknown): unknown {
  if ((error as Error).message === 'Command timed out') {
    return new RuntimeError('REDIS', 'Redis: expected an answer in time, found none', { cause: error });
  }
  if (!isRefusal(error)) return error;
  return new RuntimeError('REDIS', `Redis: expected to do as it is asked, found ${redisReply(error)}`, {
    cause: error,
  });
}
