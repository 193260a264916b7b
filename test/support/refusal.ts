import { expect } from '@jest/globals';
import type { FqvitError } from '../../src/errors.js';

/** Expects a call to fail with this class and code of error. @returns the message */
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
