import { expect } from '@jest/globals';
import type { FqvitError } from '../../src/errors.js';

/** The message of a call that must fail with an error of this class and code. */
export async function refusal(
  call: Promise<unknown>,
  type: typeof FqvitError,
  code: string,
): Promise<string> {
  const error = await call.then(
    () => 'no error',
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(type);
  expect((error as FqvitError).code).toBe(code);
  return (error as FqvitError).message;
}
