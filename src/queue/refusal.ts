import { RuntimeError } from '../errors.js';

/** Redis is there and does not do what it is asked: its memory is full, it is a replica, the user may not. */
export function isRefusal(error: unknown): error is Error {
  return (error as Error).name === 'ReplyError';
}

/** What Redis says, without the arguments of the command, a password among them, that it may repeat. */
export function redisReply({ message }: Error): string {
  return message.replace(/,? with args.*/s, '');
}

/** As RuntimeError `REDIS` what is a refusal; anything else as it is. */
export function typedRefusal(error: unknown): unknown {
  if (!isRefusal(error)) return error;
  return new RuntimeError('REDIS', `Redis: expected to do as it is asked, found ${redisReply(error)}`, {
    cause: error,
  });
}
